"""Artifacts and keys that the tests of this folder share."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from workbench import artifact
from workbench.errors import WorkbenchError


def copied(folder: Path, to: Path) -> Path:
    """Return a copy of a folder, with its signature when it has one."""
    shutil.copytree(folder, to)
    if (beside := folder.with_name(folder.name + ".sig")).exists():
        shutil.copyfile(beside, to.with_name(to.name + ".sig"))
    return to


def flip(path: Path, at: int) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))


def answer(saved: artifact.Artifact, folder: Path) -> np.ndarray:
    """Return the output of an opened artifact on the probe that lies in `folder`."""
    with np.load(folder / "probe.npz") as probe:
        inputs = {each["name"]: probe[f"input_{each['name']}"] for each in saved.card["inputs"]}
    return artifact.open_session(saved)(inputs)["logits"]


def told(error: WorkbenchError, *words: str) -> bool:
    """Say whether an error names the words and a next move."""
    return bool(error.next_move) and all(word in str(error) for word in words)
