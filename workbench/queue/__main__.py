"""`python -m workbench.queue STORE [LOCK]`: be the keeper of a store; LOCK is a descriptor of its lock, taken already."""

from __future__ import annotations

import logging
import os
import sys
from typing import IO

from workbench import _lock
from workbench.launch import _worker
from workbench.queue._folder import Folder
from workbench.queue._keeper import Keeper
from workbench.store import Store


def main(arguments: list[str]) -> None:
    logging.basicConfig(format="%(asctime)s %(process)d %(message)s", level=logging.WARNING)
    logging.getLogger("workbench.queue").setLevel(logging.INFO)
    root, *handed = arguments
    folder = Folder(Store(root))
    Keeper(folder, _handed_over(int(handed[0])) if handed else _taken(folder)).keep()


def _handed_over(descriptor: int) -> IO[bytes]:
    os.set_inheritable(descriptor, False)
    return os.fdopen(descriptor, "ab")


def _taken(folder: Folder) -> IO[bytes]:
    """Take the lock; ends this process when another keeper has it."""
    folder.make()
    with folder.changes():
        lock = (folder.path / "keeper.lock").open("ab")
        if not _lock.take(lock, wait=False):
            sys.exit(f"another keeper works on {folder.path}")
        folder.write_owner(os.getpid(), _worker.born(os.getpid()))
    return lock


if __name__ == "__main__":
    main(sys.argv[1:])
