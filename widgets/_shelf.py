"""The finished runs of a store, kept in memory and looked at again and again: only what is new is read."""

from __future__ import annotations

import os
import time
from typing import Any

from workbench import marks
from workbench.errors import ArtifactError, InvalidInput
from workbench.nouns import Run
from workbench.store import Store

TICK_NS = 1_000_000_000


class Shelf:
    """Runs never change once they are there, so one that was read is never read again."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.by_id: dict[str, Run] = {}
        self.unreadable: dict[str, str] = {}  # folder name → why it can't be read
        self._names_seen: set[str] | None = None
        self._looked_at: int | None = None
        self._marked_at: int | None = None
        self._marks: dict[str, Any] = {}

    def look(self) -> tuple[Run, ...] | None:
        """Return all finished runs, oldest first, when some came or went since the last look; None when none did."""
        changed = _changed_at(self.store.root)
        if changed == self._looked_at:
            return None
        # A folder that changed this moment may change again within one tick of its clock: look once more next time.
        self._looked_at = None if time.time_ns() - changed < TICK_NS else changed
        names = self._names()
        if names == self._names_seen:
            return None
        self._names_seen = names
        for gone in (self.by_id.keys() | self.unreadable.keys()) - names:
            self.by_id.pop(gone, None), self.unreadable.pop(gone, None)
        if not self.by_id:
            self.by_id = {run.run_id: run for run in self.store.runs()}  # the quick way to read them all
        for name in names - self.by_id.keys() - self.unreadable.keys():
            try:
                self.by_id[name] = self.store.get(name)
            except (ArtifactError, InvalidInput) as error:
                self.unreadable[name] = error.message
        return tuple(sorted(self.by_id.values(), key=lambda run: (run.started, run.run_id)))

    def marks(self) -> dict[str, Any]:
        """Return tags, note and pin of each marked run."""
        changed = _changed_at(self.store.root / ".marks")
        if changed != self._marked_at:
            self._marked_at = None if time.time_ns() - changed < TICK_NS else changed
            self._marks = marks.read_all(self.store)
        return self._marks

    def _names(self) -> set[str]:
        if not self.store.root.is_dir():
            return set()
        with os.scandir(self.store.root) as entries:
            return {entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()}


def _changed_at(folder: Any) -> int:
    """Return when entries of a folder last came or went, in ns; 0 when there is no folder."""
    try:
        return os.stat(folder).st_mtime_ns
    except FileNotFoundError:
        return 0
