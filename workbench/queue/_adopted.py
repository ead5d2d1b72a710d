"""A worker that another process started, watched through its draft."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import orjson

from workbench.launch import _order, _worker
from workbench.store import DRAFT, Store

SECONDS_TO_HEAR = 1.0  # how a worker died is written by whoever started it, a moment after


class Adopted(_worker.Worker):
    """Its end is the end of its draft; its exit code only its starter knows, and writes into the draft."""

    def __init__(self, draft: Path, store: Store) -> None:
        super().__init__(draft)
        self._store, self._run_id = store, draft.name.removeprefix(DRAFT)
        self._owner: tuple[int, float] | None = None  # None until a worker has taken the draft
        self._gone_since: float | None = None  # None while it runs

    @property
    def pid(self) -> int | None:
        return self._owner[0] if self._owner else None

    def poll(self) -> int | None:
        self._owner = owner_of(self.draft) or self._owner
        run = self._store.draft(self._run_id)
        if run is None:
            was_deleted = not (self._store.root / self._run_id).is_dir()
            return None if was_deleted and self._owner and _worker.lives(*self._owner) else 0
        if run.status != "lost":
            return None
        self._gone_since = self._gone_since or time.monotonic()
        if not (self.draft / "exit.json").exists() and time.monotonic() - self._gone_since < SECONDS_TO_HEAR:
            return None
        _order.note_death(self.draft, None)
        return 1


def owner_of(draft: Path) -> tuple[int, float] | None:
    """Return (pid, born) of the process that works on a draft and leads its group; None when none does on this machine."""
    try:
        owner = orjson.loads((draft / "owner.json").read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
    here = owner["host"] == socket.gethostname()
    return (owner["pid"], owner["born"]) if here and _worker.lives(owner["pid"], owner["born"]) else None
