"""The source text of Python's standard library, as files that every interpreter brings along."""

from __future__ import annotations

import functools
import hashlib
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np

NUM_LABELS = 10
MIN_FILES = 5  # of a package, so that each of the four parts gets a file of its own
SHARES = {"train": 0.6, "test": 0.2, "validation": 0.1, "calibration": 0.1}
# Left out: not in every installation, or tables rather than text, or not the library's.
SKIPPED = {"test", "tests", "idle_test", "idlelib", "tkinter", "turtledemo", "lib2to3", "distutils", "ensurepip"}
SKIPPED |= {"encodings", "pydoc_data", "site-packages", "dist-packages", "__pycache__"}


@functools.cache
def packages() -> dict[str, dict[str, int]]:
    """Return package → {file path relative to the library: bytes}; single modules are the package ""."""
    root = Path(sysconfig.get_path("stdlib"))
    found: dict[str, dict[str, int]] = {"": _sizes(root, root.glob("*.py"))}
    for folder in sorted(root.iterdir()):
        if folder.is_dir() and folder.name.isidentifier() and folder.name not in SKIPPED:
            files = (path for path in folder.rglob("*.py") if not SKIPPED.intersection(path.relative_to(root).parts))
            found[folder.name] = _sizes(root, files)
    if sum(map(len, found.values())) < 50:
        raise InvalidInput(
            [f"{root} holds no Python source text"], next_move="use a Python installed with its .py files"
        )
    return found


def largest() -> list[str]:
    """Return the ten packages with the most text among those with enough files, sorted by name."""
    eligible = {name: sum(files.values()) for name, files in packages().items() if name and len(files) >= MIN_FILES}
    return sorted(sorted(eligible, key=lambda name: -eligible[name])[:NUM_LABELS])


def deal(files: Mapping[str, int], *, seed: int) -> dict[str, list[str]]:
    """Deal whole files out to the four parts by bytes: in a seeded order, each to the part that lacks most."""
    import numpy as np

    order = sorted(files)
    np.random.default_rng(seed).shuffle(order)
    order.sort(key=lambda file: -files[file].bit_length())  # large ones first: only so can few files be shared fairly
    total = sum(files.values())
    lacks = {part: share * total for part, share in SHARES.items()}
    dealt: dict[str, list[str]] = {part: [] for part in SHARES}
    num_left = len(order)
    for file in order:
        empty = [part for part in dealt if not dealt[part]]
        part = max(empty if num_left <= len(empty) else dealt, key=lambda name: lacks[name])
        dealt[part].append(file)
        lacks[part] -= files[file]
        num_left -= 1
    return dealt


@functools.lru_cache(maxsize=4)
def content_sha256(files: tuple[str, ...]) -> str:
    """Return a hash over names and contents of files of the library."""
    root = Path(sysconfig.get_path("stdlib"))
    total = hashlib.sha256()
    for file in files:
        total.update(file.encode() + b"\0" + hashlib.sha256((root / file).read_bytes()).digest())
    return total.hexdigest()


def pieces(files: Iterable[str], length: int) -> np.ndarray:
    """Return the bytes of files cut into (N, length) whole pieces that don't overlap; tails are dropped."""
    import numpy as np

    root = Path(sysconfig.get_path("stdlib"))
    cut = []
    for file in files:
        text = np.frombuffer((root / file).read_bytes(), np.uint8)
        cut.append(text[: len(text) // length * length].reshape(-1, length))
    return np.concatenate(cut) if cut else np.empty((0, length), np.uint8)


def num_pieces(files: Iterable[str], sizes: Mapping[str, int], length: int) -> int:
    return sum(sizes[file] // length for file in files)


def _sizes(root: Path, files: Iterable[Path]) -> dict[str, int]:
    return {path.relative_to(root).as_posix(): path.stat().st_size for path in sorted(files)}
