"""Reads an artifact whole: plain files alone, so that what was checked is what is opened."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from workbench.errors import ArtifactError


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
