"""What may be opened at all: plain files of known formats. Links, devices and pickles are refused before anything reads them."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from pathlib import Path, PurePosixPath

from workbench.errors import ArtifactError

PICKLES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".dill")
TORCH_WEIGHTS = "pytorch_model"  # a pickle that ends in .bin
PICKLED = tuple(bytes([0x80, version]) for version in range(2, 6))  # how a pickle of protocol 2 to 5 begins


def read(folder: Path) -> dict[str, bytes]:
    """Return every file of an artifact's folder by its path in it; raises ArtifactError for what no artifact holds."""
    files = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            continue
        name = path.relative_to(folder).as_posix()
        if not stat.S_ISREG(mode):
            raise ArtifactError(f"{folder} holds a link or a device: {name}", next_move="copy the file in its place")
        with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
            files[name] = file.read()
    return files


def check(folder: Path, files: dict[str, bytes]) -> None:
    """Refuse pickles, by name and by content: opening one runs what it says."""
    for name, content in files.items():
        path = PurePosixPath(name)
        is_named = path.suffix in PICKLES or (path.suffix == ".bin" and path.name.startswith(TORCH_WEIGHTS))
        if is_named or content.startswith(PICKLED) or _holds_pickle(name, content):
            raise ArtifactError(
                f"{folder}: {name} is a pickle, which runs code when it is opened",
                next_move="save the model again: onnx, openvino, pt2 or safetensors",
            )


def _holds_pickle(name: str, content: bytes) -> bool:
    """Say whether a zip holds pickles where torch.export and NumPy put none."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return False
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.namelist():
            with archive.open(member) as file:
                if member.endswith((".pkl", ".pickle")) or file.read(2) in PICKLED:
                    return True
                if member.endswith(".npy") and _is_of_objects(archive.read(member)[:256]):
                    return True
    return False


def _is_of_objects(header: bytes) -> bool:
    return b"'descr': '|O'" in header
