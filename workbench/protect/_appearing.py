"""A new folder that appears whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from workbench.errors import InvalidInput
from workbench.store import disk_errors

DRAFT = ".protecting-"


@contextlib.contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """Yield a hidden folder of the owner's alone that becomes `target` by one rename, or goes without a trace."""
    target = target.absolute()
    if target.exists():
        raise InvalidInput([f"{target} exists already"], next_move="name a new folder")
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=target.parent))
        try:
            yield draft
            draft.rename(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
