"""What a worker tells while it works: an append-only events.jsonl, and the CPU seconds of each piece."""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from workbench.errors import Cancelled

SECONDS_BETWEEN_PROGRESS = 0.1


class Recorder:
    """Writes events; every `say` is also where a cancelled worker stops and a paused one waits (`breathe`)."""

    def __init__(
        self, draft: Path, run_id: str, *, breathe: Callable[[], None] = lambda: None, file: str = "events.jsonl"
    ) -> None:
        (draft / file).parent.mkdir(exist_ok=True)
        self.file = (draft / file).open("ab", buffering=0)
        self.run_id = run_id
        self.part = ""
        self.seconds: dict[str, float] = {}
        self._breathe = breathe
        self._seq = 0
        self._last, self._began = 0.0, time.monotonic()
        self._cancelled, self._hushed = False, False
        self._within: list[float] = []  # CPU seconds of finished pieces inside each open one

    def listen_for_cancel(self) -> None:
        """Make TERM and INT set the cancel flag; the next `say` raises."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.cancel())

    def cancel(self) -> None:
        self._cancelled = True

    def cancelled(self) -> bool:
        return self._cancelled

    def event(self, kind: str, **fields: Any) -> None:
        """Append one record; `kind` is started, progress, log, finished or failed."""
        self._seq += 1
        record = {"t": now(), "seq": self._seq, "run_id": self.run_id, "part": self.part, "kind": kind, **fields}
        self.file.write(orjson.dumps(record) + b"\n")

    def say(
        self,
        text: str = "",
        *,
        done: int = 0,
        total: int = 0,
        unit: str = "",
        values: Mapping[str, float] | None = None,
        sums: Mapping[str, float] | None = None,
    ) -> None:
        """Report progress (at most ten times a second, always the last) or, without `total`, a line of log.

        `sums` only grow, so nothing is lost of them by what isn't told.
        """
        if self._cancelled:
            raise Cancelled(
                f"{self.run_id} was cancelled in {self.part or 'its start'}", next_move="run it again to resume"
            )
        self._breathe()
        if self._hushed:
            return
        moment = time.monotonic()
        if total and done < total and moment - self._last < SECONDS_BETWEEN_PROGRESS:
            return
        self._last = moment
        if not total:
            self.event("log", text=text)
            return
        took = moment - self._began
        eta = round(took / done * (total - done), 1) if done else None
        grown = {"sums": {name: round(value, 4) for name, value in sums.items()}} if sums else {}
        self.event(
            "progress", text=text, done=done, total=total, unit=unit, eta_s=eta, values=dict(values or {}), **grown
        )

    @contextlib.contextmanager
    def hushed(self) -> Iterator[None]:
        """Keep what is said inside to ourselves: it would drown the progress around it. Cancelling works all the same."""
        before, self._hushed = self._hushed, True
        try:
            yield
        finally:
            self._hushed = before

    @contextlib.contextmanager
    def piece(self, name: str) -> Iterator[None]:
        """Name what happens inside and count its CPU seconds, ended children included, pieces within it left out."""
        before, outer = cpu_seconds(), self.part
        self.part, self._began = name, time.monotonic()
        self.say(f"{name} begins")
        self._within.append(0.0)
        try:
            yield
        finally:
            took = cpu_seconds() - before
            own = took - self._within.pop()
            if self._within:
                self._within[-1] += took
            self.part = outer
            self.seconds[name] = round(self.seconds.get(name, 0.0) + own, 4)


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and its ended children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def now() -> str:
    """Return the time in UTC, ISO 8601 with milliseconds."""
    stamp = datetime.datetime.now(datetime.UTC)
    return stamp.strftime("%Y-%m-%dT%H:%M:%S.") + f"{stamp.microsecond // 1000:03d}Z"
