"""What the runner knows of a row that is executed, wherever that is: its folder, its limits, how far it is, why it is ended."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from workbench.batch import _row
from workbench.batch._identity import Row
from workbench.batch._options import Options
from workbench.batch._record import Status
from workbench.batch.inside import QUIET_ASKED
from workbench.recorder import now


@dataclass
class Execution:
    """A started row. `look` is called again and again until `poll` returns an exit code."""

    row: Row
    draft: Path
    options: Options
    attempt: int
    start: str = "forked"  # or why it is a new interpreter
    host: str = field(default_factory=socket.gethostname)
    lost: str = ""  # what became of its machine; empty while that is there
    env_id: str = ""  # of where it is executed; empty = of the runner's own environment
    started: str = field(default_factory=now)
    began: float = field(default_factory=time.monotonic)
    cell: dict[str, Any] = field(default_factory=dict)  # the last line of its progress; empty before the first cell
    breach: tuple[Status, str] | None = None  # the limit that it broke: the status that follows, and in words
    peak_bytes: int = 0
    _position: int = 0
    _cell_began: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it has run, without the time that it was paused."""
        return time.monotonic() - self.began

    @property
    def wants_quiet(self) -> bool:
        return (self.draft / QUIET_ASKED).exists()

    @property
    def has_begun(self) -> bool:
        """Say whether its kernel works; one that is being started must not be paused."""
        return bool(self.cell)

    def poll(self) -> int | None:
        """Return the exit code of its process; None while it runs."""
        raise NotImplementedError

    def look(self) -> None:
        """Take in how far it is, and begin or go on to end it where a limit is broken."""
        raise NotImplementedError

    def look_at_memory(self, snapshot: Any) -> None:
        """Measure what it uses, where that is this machine's business; `snapshot` are the processes here."""

    def pause(self) -> None:
        """Let it stand still, where the runner can."""

    def go_on(self) -> None:
        """Let it go on after a pause."""

    def stop(self, why: str) -> None:
        """End it because somebody wants so."""
        raise NotImplementedError

    def kill(self) -> None:
        """End it at once, without a record."""
        raise NotImplementedError

    def finish(self) -> dict[str, Any]:
        """Return what the row's process left, after its end: its outcome, empty when it left none."""
        raise NotImplementedError

    def _read_progress(self) -> None:
        try:
            with (self.draft / _row.PROGRESS).open("rb") as file:
                file.seek(self._position)
                fresh = file.read()
        except FileNotFoundError:
            return
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._position += len(whole)
        for line in whole.splitlines():
            self.cell, self._cell_began = orjson.loads(line), time.monotonic()
