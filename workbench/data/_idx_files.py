"""MNIST's file format: a few bytes of header, then the numbers; plain or packed with gzip."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np

UNSIGNED_BYTES = 0x08  # the one type of number that image and label files have
MOST_NUMBERS = 1 << 33
AS_EXPECTED = (
    "expected train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-… and t10k-labels-…, each also as .gz"
)


def find(folder: Path, part: str, what: str, rank: int) -> Path:
    """Return the file of `part` ("train", "t10k") and `what` ("images", "labels"); raises InvalidInput when it isn't there."""
    names = [f"{part}-{what}{dot}idx{rank}-ubyte{packed}" for dot in "-." for packed in ("", ".gz")]
    found = next((folder / name for name in names if (folder / name).is_file()), None)
    if found is None:
        raise InvalidInput([f"{str(folder)!r} has no {names[0]}"], next_move=AS_EXPECTED)
    return found


def shape(path: Path) -> tuple[int, ...]:
    """Return the shape that the header states; reads no number."""
    try:
        with _opened(path) as file:
            start = file.read(4)
            if len(start) < 4 or start[:2] != b"\0\0" or start[2] != UNSIGNED_BYTES or not 1 <= start[3] <= 4:
                raise InvalidInput([f"{path} is no IDX file of unsigned bytes"], next_move=AS_EXPECTED)
            sizes = file.read(4 * start[3])
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput([f"{path} can't be read: {error}"], next_move="fetch the file again") from error
    if len(sizes) < 4 * start[3]:
        raise InvalidInput([f"{path} ends inside its header"], next_move="fetch the file again")
    found = struct.unpack(f">{start[3]}I", sizes)
    if 0 in found or math.prod(found) > MOST_NUMBERS:
        raise InvalidInput([f"{path} says that it holds {' × '.join(map(str, found))} numbers"])
    return found


def read(path: Path) -> np.ndarray:
    """Return the numbers as uint8; raises InvalidInput when there are fewer or more than the header states."""
    import numpy as np

    stated = shape(path)
    num_wanted, start = math.prod(stated), 4 + 4 * len(stated)
    try:
        with _opened(path) as file:
            body = file.read(start + num_wanted + 1)[start:]
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput([f"{path} can't be read: {error}"], next_move="fetch the file again") from error
    if len(body) != num_wanted:
        less = "fewer" if len(body) < num_wanted else "more"
        raise InvalidInput(
            [f"{path} holds {less} numbers than its header states ({' × '.join(map(str, stated))})"],
            next_move="fetch the file again",
        )
    return np.frombuffer(body, np.uint8).reshape(stated)


def _opened(path: Path):  # type: ignore[no-untyped-def]  # noqa: ANN202
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")
