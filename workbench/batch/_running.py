"""One row while this machine executes it: its process, its limits, and how it is ended when it breaks one."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson
import psutil

from workbench.batch import _members, _row
from workbench.batch._execution import Execution
from workbench.batch._identity import Row
from workbench.batch._options import Options
from workbench.batch._row import KERNEL
from workbench.launch import _order, _worker

SECONDS_TO_HEED = {"interrupt": 5.0, "term": _members.GRACE_SECONDS}
BYTES_PER_MB = 1_000_000
GROWTH = 1.1  # proportional memory is asked for again when the plain sum has grown so much


@dataclass
class Running(Execution):
    """A row that this machine executes."""

    process: Callable[[], int | None] = lambda: None  # exit code of the row's process; None while it lives
    pid: int = 0
    _asked: str = ""  # how it was asked to end
    _asked_at: float = 0.0
    _stopped: list[psutil.Process] = field(default_factory=list)  # while it is paused
    _paused_at: float = 0.0  # 0 = it is not
    _paused_seconds: float = 0.0
    _resident_bytes: int = 0  # when the proportional size was last asked for

    @property
    def seconds(self) -> float:
        return super().seconds - self._paused_seconds - self._paused_now

    @property
    def _paused_now(self) -> float:
        return time.monotonic() - self._paused_at if self._paused_at else 0.0

    def poll(self) -> int | None:
        return self.process()

    def pause(self) -> None:
        """Stop its kernel and all that this started where they are."""
        self._stopped = _members.Snapshot().below([kernel] if (kernel := self._kernel()) else [], str(self.draft))
        self._paused_at = time.monotonic()
        _members.send(self._stopped, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let what was paused go on; its limits don't count the pause."""
        _members.send(self._stopped, signal.SIGCONT)
        self._paused_seconds += self._paused_now
        self._cell_began += self._paused_now
        self._stopped, self._paused_at = [], 0.0

    def look(self) -> None:
        self._read_progress()
        if not self.breach:
            self._check_time()
        if self._asked and time.monotonic() - self._asked_at > SECONDS_TO_HEED.get(self._asked, 0.0):
            self._ask("term" if self._asked == "interrupt" else "kill")

    def look_at_memory(self, snapshot: _members.Snapshot) -> None:
        """Measure what it uses, and end it at once above its limit: in a second it could take the machine along."""
        members, limit = snapshot.below(self._roots(), str(self.draft)), self.options.memory_bytes
        resident = _members.resident_bytes(
            members
        )  # counts shared pages once for each process: cheap, and never too low
        if resident > GROWTH * self._resident_bytes or (limit and resident > limit):
            self._resident_bytes = max(resident, self._resident_bytes)
            self.peak_bytes = max(self.peak_bytes, found := _members.proportional_bytes(members))
            if limit and found > limit and not self.breach:
                used = f"{found / BYTES_PER_MB:,.0f} MB, more than its limit of {limit / BYTES_PER_MB:,.0f} MB"
                self.breach = ("oom_limit", f"used {used}")
                _members.end([each for each in members if each.pid != self.pid], grace=0)
                self._asked, self._asked_at = "term", time.monotonic()

    def stop(self, why: str) -> None:
        if not self.breach:
            self.breach = ("cancelled", why)
            self._ask("interrupt")

    def kill(self) -> None:
        _members.end(_members.Snapshot().below([self.pid], str(self.draft)), grace=0)
        _members.sweep(str(self.draft))

    def finish(self) -> dict[str, Any]:
        self._read_progress()
        _members.sweep(str(self.draft))
        for unfinished in self.draft.glob(".draft-*-out*.ipynb"):  # of a process that was killed
            unfinished.rename(self.draft / unfinished.name.split("-", 2)[2])
        try:
            return orjson.loads((self.draft / _row.OUTCOME).read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError):
            return {}

    def _roots(self) -> list[int]:
        kernel = self._kernel()
        return [self.pid, kernel] if kernel else [self.pid]

    def _kernel(self) -> int | None:
        try:
            return int(orjson.loads((self.draft / KERNEL).read_bytes())["pid"])
        except (FileNotFoundError, orjson.JSONDecodeError):
            return None

    def _check_time(self) -> None:
        limit, cell_limit = self.options.timeout_s, self.options.cell_timeout_s
        if limit and self.seconds > limit:
            self.breach = ("timeout", f"stopped at its limit of {limit:g} s")
        elif cell_limit and self._cell_began and time.monotonic() - self._cell_began - self._paused_now > cell_limit:
            self.breach = ("timeout", f"stopped at the limit of {cell_limit:g} s for one cell")
        if self.breach:
            self._ask("interrupt")

    def _ask(self, how: str) -> None:
        """Ask the kernel to stop the cell, so that the outputs are kept; then everything to end; then kill."""
        self._asked, self._asked_at = how, time.monotonic()
        self.go_on()
        kernel = self._kernel()
        if how == "interrupt" and kernel:
            _worker.signal_group(kernel, signal.SIGINT)
            return
        everything = _members.Snapshot().below(self._roots(), str(self.draft))
        if how == "kill":
            _members.end(everything, grace=0)
            return
        for each in everything:
            if each.pid != self.pid:  # the row's own process sees its kernel die, and writes down how
                with contextlib.suppress(psutil.Error):
                    each.terminate()


def start(row: Row, order: _row.Order, options: Options, attempt: int, private: Sequence[IO[bytes]] = ()) -> Running:
    """Start the process of a row: forked from this one where that is safe, else a new interpreter.

    `private` is what a fork closes.
    """
    draft = Path(order.draft)
    if why := why_not_fork(options):
        path = _row.write_order(order)
        with (draft / _row.LOG).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "workbench.batch._row", str(path), str(os.getpid())],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_order.environment(order.threads),
            )  # fmt: skip
        return Running(row, draft, options, attempt, f"new interpreter: {why}", process=process.poll, pid=process.pid)
    forked = multiprocessing.get_context("fork").Process(target=_row.begin, args=(order, os.getpid(), private))
    forked.start()
    return Running(row, draft, options, attempt, process=lambda: forked.exitcode, pid=forked.pid or 0)


def why_not_fork(options: Options) -> str:
    """Return why rows are new interpreters and no forks; empty when they are forks."""
    if options.cold:
        return "asked for (--cold)"
    if sys.platform != "linux":
        return f"forking is safe on Linux only, this is {sys.platform}"
    count = len(os.listdir("/proc/self/task"))
    return f"this process has {count} threads" if count > 1 else ""
