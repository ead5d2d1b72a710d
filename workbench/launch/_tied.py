"""`python -m workbench.launch._tied work DRAFT STORE`: a worker that ends with the process which started it, however that ends.

Workers as a rule outlive their submitter. One inside a task of an engine must not: the engine may have given its place away.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
from dataclasses import replace
from pathlib import Path

from workbench.launch import _order

SIGNAL_WHEN_PARENT_DIES = 1  # prctl's number
PARENT = "WORKBENCH_TIED_TO"  # process that it ends with


def order(draft: Path, store: Path, threads: int) -> _order.Order:
    """Describe such a worker of this process."""
    wanted = _order.order(draft, store, threads)
    return replace(wanted, module=__name__, environment={**wanted.environment, PARENT: str(os.getpid())})


def main() -> None:
    """Be tied (Linux), then be the worker."""
    parent = int(os.environ.pop(PARENT))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(SIGNAL_WHEN_PARENT_DIES, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
    runpy.run_module(_order.MODULE, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
