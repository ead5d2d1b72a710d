"""The folder of a store's queue: one JSON file per entry, replaced whole, changed under one lock.

    <store>/.queue/<entry_id>.json   a Record
                  /changes.lock      held for moments, by whoever changes something
                  /keeper.lock       held by the keeper as long as it lives
                  /keeper.owner      who that is    /keeper.log  what it has to say    /warm  touched: be ready for a click

Reading needs no lock. Files are not forced to the disk: the queue outlives every process, not a power cut.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from workbench import _lock
from workbench.errors import InvalidInput
from workbench.queue._record import Record, unreadable
from workbench.store import Store, disk_errors

Stamp = tuple[int, int, int]
YOUNG_NS = 20_000_000  # the clock of files ticks: what was written this lately may change under the same stamp

_read_before: dict[Path, dict[str, tuple[Stamp, Record]]] = {}  # folder → entry id → what was read, when it stood so


class Folder:
    """The queue of one store on disk."""

    def __init__(self, store: Store) -> None:
        self.store, self.path = store, store.root / ".queue"

    @contextlib.contextmanager
    def changes(self) -> Iterator[None]:
        """Hold the right to change entries; raises FileNotFoundError when the folder is gone, WorkbenchError for a full disk."""
        with disk_errors(self.path), (self.path / "changes.lock").open("ab") as lock:
            _lock.take(lock, wait=True)
            yield

    def make(self) -> None:
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)

    def ask_to_warm(self) -> None:
        with disk_errors(self.path):
            (self.path / "warm").touch()

    def asked_to_warm(self) -> float:
        """Return when somebody last asked to be ready, in seconds since the epoch; 0 when nobody ever did."""
        try:
            return (self.path / "warm").stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def stamps(self) -> dict[str, Stamp]:
        """Return what changes with each entry, by entry id; nothing when there is no folder."""
        found = {}
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for item in os.scandir(self.path):
                if item.name.endswith(".json"):
                    with contextlib.suppress(FileNotFoundError):  # dismissed while we look
                        facts = item.stat()
                        found[item.name.removesuffix(".json")] = (facts.st_mtime_ns, facts.st_ino, facts.st_size)
        return found

    def read(self) -> dict[str, Record]:
        """Return every entry by its id, in order; one that can't be read is a failed one with the reason."""
        known, stamps = _read_before.get(self.path, {}), self.stamps()
        old = time.time_ns() - YOUNG_NS
        kept: dict[str, tuple[Stamp, Record]] = {}
        records = []
        for entry_id, stamp in stamps.items():
            before = known.get(entry_id)
            record = before[1] if before and before[0] == stamp else self.get(entry_id)
            if record:
                records.append(record)
                if stamp[0] < old:
                    kept[entry_id] = (stamp, record)
        _read_before[self.path] = kept
        return {
            record.entry_id: record for record in sorted(records, key=lambda record: (record.order, record.entry_id))
        }

    def get(self, entry_id: str) -> Record | None:
        """Read one entry; None when there is none."""
        path = self.path / f"{entry_id}.json"
        try:
            return Record.from_json(orjson.loads(path.read_bytes()), entry_id)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            return unreadable(entry_id, str(path), str(error))

    def find(self, entry_id: str) -> Record:
        """Return an entry that must be there; raises InvalidInput."""
        record = self.get(entry_id) if Path(entry_id).name == entry_id else None
        if record is None:
            raise InvalidInput([f"no entry {entry_id!r} in {self.path}"], next_move="workbench queue lists them")
        return record

    def write(self, record: Record, **changes: Any) -> Record:
        """Replace an entry's file; the caller holds `changes()`."""
        record = replace(record, **changes)
        self._replace(f"{record.entry_id}.json", record.to_json())
        return record

    def remove(self, entry_ids: Iterable[str]) -> None:
        """Remove entries; the caller holds `changes()`."""
        for entry_id in entry_ids:
            (self.path / f"{entry_id}.json").unlink(missing_ok=True)

    def write_owner(self, pid: int, born: float) -> None:
        self._replace("keeper.owner", {"pid": pid, "born": born})

    def _replace(self, name: str, record: dict[str, Any]) -> None:
        partial = self.path / f"{name}.partial"
        partial.write_bytes(orjson.dumps(record))
        partial.replace(self.path / name)
