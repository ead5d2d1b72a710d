"""Where the keeper of a queue is found, and how it is started: never two for a store.

Whoever starts a keeper takes its lock first and hands it over, so that the lock is held from the keeper's first moment and
vanishes with it, however it ends.
"""

from __future__ import annotations

import subprocess
import sys

import orjson

from workbench import _lock
from workbench.launch import _worker
from workbench.launch._order import ROOT, lasting_environment
from workbench.queue._folder import Folder

HANDS_OVER = sys.platform != "win32"  # elsewhere the keeper takes its lock itself

_started: list[subprocess.Popen[bytes]] = []  # by this process: asked for their end now and then, or they stay zombies


def ensure(folder: Folder) -> None:
    """Start a keeper unless one lives; returns before it works."""
    _started[:] = [each for each in _started if each.poll() is None]
    with folder.changes(), (folder.path / "keeper.lock").open("ab") as lock:
        if _lock.take(lock, wait=False):
            if not HANDS_OVER:
                lock.close()
            process = _start(folder, lock.fileno() if HANDS_OVER else None)
            folder.write_owner(process.pid, _worker.born(process.pid))
            _started.append(process)


def _start(folder: Folder, lock: int | None) -> subprocess.Popen[bytes]:
    """Start it in a session of its own, so that nothing that ends its starter ends it."""
    command = [sys.executable, "-m", "workbench.queue", str(folder.store.root), *([] if lock is None else [str(lock)])]
    with (folder.path / "keeper.log").open("ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, start_new_session=True,
            env=lasting_environment(), pass_fds=() if lock is None else (lock,),
        )  # fmt: skip


def lives(folder: Folder) -> bool:
    """Say whether a keeper works on this queue, without touching its lock."""
    try:
        owner = orjson.loads((folder.path / "keeper.owner").read_bytes())
        return _worker.lives(owner["pid"], owner["born"])
    except FileNotFoundError:
        return False
