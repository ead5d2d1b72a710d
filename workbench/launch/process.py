"""Start a worker as a process of its own on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from workbench.launch import _nursery_place, _order
from workbench.launch._forked import Forked
from workbench.launch._worker import Spawned, Worker
from workbench.params import param
from workbench.part import Launcher


class Process(Launcher):
    """The worker leads its own process group and writes to its draft; nothing of it lives in the caller."""

    title = "Process on this machine"

    threads: int = param(1, help="Threads for computing (measuring has its own)", unit="threads", ge=1, le=1024)
    start: Literal["fork", "spawn"] = param(
        "fork",
        help="fork: from a warmed parent where that is safe, in hundredths of a second; spawn: a new interpreter",
    )

    def submit(self, draft: Path, store: Path) -> Worker:
        """Start it; which way was taken, and why, stands in launcher.json and in the run's events."""
        wanted = _order.order(draft, store, self.threads)
        why = "asked for" if self.start == "spawn" else _nursery_place.why_not_fork()
        return Spawned(wanted, why) if why else Forked(wanted)
