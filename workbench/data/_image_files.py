"""Image files in folders: which there are, and what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
PART_NAMES = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation"}
PART_NAMES |= {"calibration": "calibration", "calib": "calibration", "test": "test"}
MAX_SHOWN = 10  # broken files named in one message

Classes = dict[str, list[Path]]  # class folder's name → its images, sorted


def parts_of(folder: Path) -> dict[str, Classes]:
    """Return part → class → images; the part "" holds all when `folder` has no train and test subfolders.

    Raises InvalidInput that lists everything wrong with the folder.
    """
    if not folder.is_dir():
        raise InvalidInput([f"no folder {str(folder)!r} (relative paths start at {str(Path.cwd())!r})"])
    subfolders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    named = {PART_NAMES[path.name.lower()]: path for path in subfolders if path.name.lower() in PART_NAMES}
    presplit = {"train", "test"} <= set(named)
    parts = {part: _classes(path) for part, path in named.items()} if presplit else {"": _classes(folder)}
    problems = _problems(parts, folder)
    if problems:
        raise InvalidInput(
            problems, next_move="expected FOLDER/class/*.png, or FOLDER/train/class/*.png and FOLDER/test/…"
        )
    return parts


def labels_of(parts: dict[str, Classes]) -> tuple[str, ...]:
    return tuple(sorted({label for classes in parts.values() for label in classes}))


def read(paths: Sequence[Path], *, size: int, channels: int) -> np.ndarray:
    """Return (N, channels, size, size) float32 in [0, 1]; raises InvalidInput naming the files that can't be read."""
    import numpy as np
    from PIL import Image, ImageOps, UnidentifiedImageError

    pixels = np.empty((len(paths), channels, size, size), np.float32)
    broken = []
    for index, path in enumerate(paths):
        try:
            with Image.open(path) as image:
                upright = ImageOps.exif_transpose(image).convert("RGB" if channels == 3 else "L")
                array = np.asarray(upright.resize((size, size), Image.Resampling.BILINEAR), np.float32)
        except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
            broken.append(f"{path}: {error}")
            continue
        pixels[index] = array.reshape(size, size, channels).transpose(2, 0, 1) / 255
    if broken:
        more = [f"… and {len(broken) - MAX_SHOWN} more"] if len(broken) > MAX_SHOWN else []
        raise InvalidInput([*broken[:MAX_SHOWN], *more], next_move="remove or repair these image files")
    return pixels


def _classes(folder: Path) -> Classes:
    subfolders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return {
        path.name: sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        for path in subfolders
    }


def _problems(parts: dict[str, Classes], folder: Path) -> list[str]:
    problems = []
    labels = labels_of(parts)
    if len(labels) < 2:
        problems.append(f"{folder} has {len(labels)} class folders; two or more are needed")
    for part, classes in parts.items():
        where = f"{folder}/{part}" if part else str(folder)
        problems += [
            f"{where}/{label} holds no image ({', '.join(SUFFIXES)})" for label in classes if not classes[label]
        ]
        if part == "train":
            problems += [f"{where} has no folder for class {label!r}" for label in labels if label not in classes]
        if not part:
            few = [label for label in classes if 0 < len(classes[label]) < 4]
            problems += [
                f"{where}/{label} holds {len(classes[label])} images; a split needs 4 or more" for label in few
            ]
    return problems
