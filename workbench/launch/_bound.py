"""Processes that end with the one that started them, however that one ends (Linux; elsewhere whoever starts ends them)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

VARIABLE = "WORKBENCH_ENDS_WITH"  # the process that a new interpreter belongs to
SIGNAL_WHEN_PARENT_DIES = 1  # prctl's number


def to_this() -> dict[str, str]:
    """Return what goes into the environment of a process that shall end with this one."""
    return {VARIABLE: str(os.getpid())}


def end_with_parent(parent: int | None = None) -> None:
    """End when `parent` does (None: the one that the environment names; nobody where it names none).

    It is named, not asked for: it may be gone before this process has imported anything.
    """
    parent = parent or int(os.environ.get(VARIABLE, "0"))
    if not parent or sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(SIGNAL_WHEN_PARENT_DIES, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel knew
        os.kill(os.getpid(), signal.SIGKILL)
