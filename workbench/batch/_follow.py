"""Progress of work that goes on in a kernel: follows a file of JSON lines, draws one bar (or plain lines without a terminal).

A line is an event as in a run's `events.jsonl`; of it are read `done`, `total`, `unit`, `eta_s`, `part`, `run_id`, `text`. Lines
with a `run_id` tell what goes on inside one run, the others how far the whole is.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from workbench.batch.progress import VARIABLE

if TYPE_CHECKING:
    from rich.console import Console

POLL_SECONDS = 0.2
LINE_SECONDS = 5.0  # without a terminal: at most one line in so many seconds


class Follower:
    """Shows, until left, which cell runs, how far the followed work is, what it does and how long it still takes."""

    def __init__(self, console: Console, path: Path) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        self.console = console
        self.path = path
        self.offset = path.stat().st_size if path.exists() else 0  # older lines are of another time
        self.cell_line, self.step_line = "starting the kernel", ""
        self.done, self.total, self.unit, self.eta_s = 0.0, 0.0, "", None
        self.began, self.printed_at, self.printed = time.monotonic(), 0.0, ""
        columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
        self.bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.task = self.bar.add_task(self.cell_line, total=None)
        self.left = threading.Event()
        self.thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> Follower:
        os.environ[VARIABLE] = str(self.path)  # the kernel inherits it
        self.bar.start()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.environ.pop(VARIABLE, None)
        self.left.set()
        self.thread.join()
        self.bar.stop()

    def cell(self, done: int, total: int, first_line: str) -> None:
        """Take note that the next cell starts."""
        self.cell_line = f"cell {done + 1} of {total}: {first_line[:60]}"
        self.step_line, self.total = "", 0.0  # of the cell before

    def take(self, event: dict[str, Any]) -> None:
        """Take in one event."""
        if event.get("run_id"):
            where = " ".join(str(event[key]) for key in ("run_id", "part", "text") if event.get(key))
            how_far = f" {event['done']}/{event['total']} {event.get('unit', '')}" if event.get("total") else ""
            self.step_line = (where + how_far).strip()
        elif event.get("total"):
            self.done, self.total, self.unit = event["done"], event["total"], event.get("unit", "")
            self.eta_s = event.get("eta_s")

    def describe(self) -> str:
        """Return the state in one line."""
        step = self.step_line or self.cell_line
        if not self.total:
            return f"{step} · {_clock(time.monotonic() - self.began)}"
        counted = f"{self.done:g} of {self.total:g} {self.unit}".strip()
        left = f" · about {_clock(self.eta_s)} left" if self.eta_s is not None and self.done < self.total else ""
        return f"{counted}{left} · {step if self.done < self.total else self.cell_line}"

    def _poll(self) -> None:
        while not self.left.wait(POLL_SECONDS):
            self._read()
            line = self.describe()
            if self.console.is_terminal:
                self.bar.update(self.task, description=line, completed=self.done, total=self.total or None)
            elif line != self.printed and time.monotonic() - self.printed_at >= LINE_SECONDS:
                self.printed, self.printed_at = line, time.monotonic()
                self.console.print(f"{_clock(time.monotonic() - self.began)}  {line}", markup=False)

    def _read(self) -> None:
        """Take in the whole lines that are new; half a line waits for its end."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self.offset)
            fresh = file.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self.offset += len(whole)
        for line in whole.splitlines():
            self.take(orjson.loads(line))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
