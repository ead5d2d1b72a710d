"""What folders of safetensors files say without a weight being read: tensors and where they lie, the index, the licence."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import InvalidInput

INDEX = "model.safetensors.index.json"
MAX_HEADER_BYTES = 100_000_000  # the format's own limit
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


@dataclass(frozen=True)
class Stored:
    """One tensor as it lies in a file."""

    name: str
    dtype: str  # a key of BITS, or one that the format learned later
    shape: tuple[int, ...]
    begin: int  # bytes from the start of the file
    num_bytes: int

    @property
    def num_values(self) -> int:
        return math.prod(self.shape)


def tensors(path: Path) -> list[Stored]:
    """Return the tensors of one file, in the order of their bytes; raises InvalidInput where header and file disagree."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= min(MAX_HEADER_BYTES, size - 8):
            raise InvalidInput([f"{path} is cut off, or no safetensors file: its header claims {length:,} bytes"])
        text = file.read(length)
    start = 8 + length
    try:
        header = {name: each for name, each in json.loads(text).items() if name != "__metadata__"}
        found = [_stored(name, each, start) for name, each in header.items()]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise InvalidInput([f"{path} has a damaged header: {error!r}"]) from error
    found.sort(key=lambda each: (each.begin, each.num_bytes))
    end = start
    for each in found:
        if each.begin != end or each.num_bytes < 0:
            told = (
                f"{each.begin - start:,} to {each.begin + each.num_bytes - start:,}, where {end - start:,} was expected"
            )
            raise InvalidInput([f"{path}: {each.name} lies at bytes {told}"])
        end += each.num_bytes
    if size != end:
        raise InvalidInput([f"{path} has {size:,} bytes, {end:,} expected: it is cut off, or not what it says"])
    for each in found:
        if 8 * each.num_bytes != BITS.get(each.dtype, 0) * each.num_values and each.dtype in BITS:
            raise InvalidInput([f"{path}: {each.name} has {each.num_bytes:,} bytes, which its shape hasn't"])
    return found


def _stored(name: str, entry: Mapping[str, Any], start: int) -> Stored:
    (begin, end), shape = entry["data_offsets"], entry["shape"]
    if any(type(each) is not int or each < 0 for each in (begin, end, *shape)):
        raise ValueError(f"{name} counts in {[begin, end, *shape]}")
    return Stored(name, str(entry["dtype"]), tuple(shape), start + begin, end - begin)


def files(folder: Path) -> tuple[list[str], list[str]]:
    """Return the names of the files that hold a checkpoint, and of those that its index names in vain.

    Raises InvalidInput for an index that is none, or that points out of the folder.
    """
    index = folder / INDEX
    if not index.is_file():
        return sorted(path.name for path in folder.glob("*.safetensors")), []
    try:
        wanted = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        outside = [name for name in wanted if Path(name).name != name]
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise InvalidInput([f"{index} is no index of safetensors files: {error!r}"]) from error
    if outside:
        raise InvalidInput([f"{index} names files elsewhere: {', '.join(outside[:3])}"])
    there = [name for name in wanted if (folder / name).is_file()]
    return there, [name for name in wanted if name not in there]


def licence(folder: Path) -> str:
    """Return the licence that the model's README names."""
    readme = folder / "README.md"
    found = (
        re.search(r"^license:\s*(\S+)", readme.read_text(errors="replace"), re.MULTILINE) if readme.is_file() else None
    )
    return found[1] if found else "unknown: the checkpoint does not say"
