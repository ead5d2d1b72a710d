"""Locks on files that vanish with the process that holds them."""

from __future__ import annotations

import sys
from typing import IO


def take(file: IO[bytes], *, wait: bool) -> bool:
    """Lock an open file; False when another holds it and we don't wait. Closing the file gives the lock back."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
