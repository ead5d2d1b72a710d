"""What of a store may go, what is missed least first, and why each other run stays."""

from __future__ import annotations

import heapq
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from workbench import marks
from workbench._deleting import comparisons, needs
from workbench.store import DELETED, MARKS, STAGING, Store

DAY_SECONDS = 86_400.0

Kind = Literal["left-over", "state", "comparison", "marks", "run"]


@dataclass(frozen=True)
class Item:
    """One thing that can go; `name` is the run id for runs and drafts, else a file name."""

    kind: Kind
    name: str
    path: Path
    num_bytes: int
    reason: str


@dataclass(frozen=True)
class Weight:
    num_bytes: int
    newest: float  # time of the youngest file, seconds since 1970


def weigh(path: Path) -> Weight:
    """Return the bytes of a file or of all files below a folder, links not followed, and the time of the youngest."""
    num_bytes, newest = 0, path.lstat().st_mtime if path.exists() else 0.0
    below = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    for each in below if path.is_dir() else (path,):
        try:
            facts = each.lstat()
        except FileNotFoundError:  # removed meanwhile
            continue
        num_bytes, newest = num_bytes + facts.st_size, max(newest, facts.st_mtime)
    return Weight(num_bytes, newest)


class Known:
    """What a store holds: its runs with their weight, marks and ties."""

    def __init__(self, store: Store, keep_days: float | None) -> None:
        self.root, self.now = store.root, time.time()
        self.runs = {run.run_id: run for run in store.runs()}
        self.drafts = store.drafts()
        self.marks = marks.read_all(store)
        self.unreadable = {path.stem for path in (self.root / MARKS).glob("*.json")} - set(self.marks)
        self.fixed = {run_id: reason for run_id in self.runs if (reason := self._why_fixed(run_id, keep_days))}

    def in_order(self) -> Iterator[Item]:
        """Yield everything that may go, the least missed first."""
        yield from self._lost_drafts()
        yield from self._half_written()
        states = (self.root / ".cache").glob("*.state")
        for path in sorted(states, key=lambda path: path.stat().st_mtime):
            yield Item("state", path.name, path, path.stat().st_size, "can be computed again; the longest unused first")
        yield from self._orphans()
        for run_id in self._removable():
            run, when = self.runs[run_id], datetime.fromtimestamp(self._ended(run_id)).strftime("%Y-%m-%d")
            reason = f"{run.status} on {when}; not pinned, tagged or needed"
            yield Item("run", run_id, Path(run.folder), weigh(Path(run.folder)).num_bytes, reason)

    def _lost_drafts(self) -> Iterator[Item]:
        """Yield the drafts of killed workers that nobody marked: for a day somebody may still want to look."""
        for run in self.drafts:
            weight = weigh(Path(run.folder))
            is_marked = run.run_id in self.marks or run.run_id in self.unreadable
            if run.status == "lost" and not is_marked and self.now - weight.newest > DAY_SECONDS:
                yield Item("left-over", run.run_id, Path(run.folder), weight.num_bytes, "lost over a day ago")

    def _half_written(self) -> Iterator[Item]:
        cache = (self.root / ".cache").glob("*.partial")
        for path in sorted([*self.root.glob(f"{STAGING}*"), *self.root.glob(f"{DELETED}*"), *cache]):
            weight = weigh(path)
            if self.now - weight.newest > DAY_SECONDS:
                yield Item("left-over", path.name, path, weight.num_bytes, "its writer stopped over a day ago")

    def _orphans(self) -> Iterator[Item]:
        """Yield comparisons and marks of runs that are gone."""
        there = set(self.runs) | {run.run_id for run in self.drafts} | {path.name for path in self.root.glob("[!.]*")}
        for path, both in comparisons(self.root).items():
            if gone := sorted(both - there):
                reason = f"{' and '.join(gone)} {'are' if len(gone) > 1 else 'is'} gone"
                yield Item("comparison", path.name, path, path.stat().st_size, reason)
        for path in sorted((self.root / MARKS).glob("*.json")):
            if path.stem not in there:
                yield Item("marks", path.name, path, path.stat().st_size, "the run is gone")

    def _removable(self) -> Iterator[str]:
        """Yield the runs that may go, oldest first; one that others need comes after all of those."""
        living = [*self.runs.values(), *(run for run in self.drafts if run.status != "lost")]
        there = set(self.runs)
        ties = {run.run_id: needs(run) & there for run in living}
        needed_by = Counter(run_id for tied in ties.values() for run_id in tied)
        free = [
            (self._ended(run_id), run_id) for run_id in self.runs if run_id not in self.fixed and not needed_by[run_id]
        ]
        heapq.heapify(free)
        while free:
            _, run_id = heapq.heappop(free)
            yield run_id
            for other in ties[run_id]:
                needed_by[other] -= 1
                if not needed_by[other] and other not in self.fixed:
                    heapq.heappush(free, (self._ended(other), other))

    def _why_fixed(self, run_id: str, keep_days: float | None) -> str:
        """Return why a run stays whatever happens to others; empty when it may go."""
        marked, age_days = self.marks.get(run_id, marks.NONE), (self.now - self._ended(run_id)) / DAY_SECONDS
        if run_id in self.unreadable:
            return "their marks can't be read"
        if marked.pinned:
            return "pinned"
        if marked.tags:
            return "tagged"
        if keep_days is not None and age_days < keep_days:
            return f"younger than {keep_days:g} days"
        return "failed within the last day" if self.runs[run_id].status == "failed" and age_days < 1 else ""

    def _ended(self, run_id: str) -> float:
        run = self.runs[run_id]
        told = run.ended or run.started
        return datetime.fromisoformat(told).timestamp() if told else Path(run.folder).stat().st_mtime
