"""What runs inside a Ray task: one row, executed and watched on the machine that Ray chose, its files in the shared folder.

Limits, kernel and clean-up are those of this machine (`_running`): the runner hears the end only, and reads progress from the folder.
"""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, replace
from typing import Any

from workbench import machine
from workbench.batch import _members, _row, _running
from workbench.batch._identity import Row
from workbench.batch._options import Options
from workbench.batch._record import Status
from workbench.launch._ray_cluster import hear_cancel, unseen

SECONDS_BETWEEN_LOOKS = 0.05
SECONDS_BETWEEN_MEMORY = 0.5


@dataclass(frozen=True)
class Ended:
    """What the runner is told at the end; everything else lies in the folder."""

    outcome: dict[str, Any]
    breach: tuple[Status, str] | None
    seconds: float
    peak_bytes: int
    start: str
    host: str
    environment: dict[str, Any]


def execute_row(order: _row.Order, row: Row, options: Options, attempt: int) -> Ended | list[str]:
    """Execute a row to its end and return it; the paths that this machine doesn't see, where nothing could be executed.

    `ray.cancel` arrives here as KeyboardInterrupt, whenever: the row is then stopped as its runner would stop it.
    """
    hear_cancel()
    if missing := unseen(order.draft, *(notebook for notebook, _ in order.stages)):
        return missing
    running = _running.start(row, order, replace(options, cold=True), attempt)
    try:
        _watch(running)
        return Ended(
            running.finish(), running.breach, running.seconds, running.peak_bytes, "Ray: new interpreter", running.host,
            _environment(),
        )  # fmt: skip
    except BaseException:
        running.kill()
        raise


def _watch(running: _running.Running) -> None:
    """Return when the row's process has ended."""
    looked_at_memory = 0.0
    while True:
        try:
            if running.poll() is not None:
                return
            running.look()
            if time.monotonic() - looked_at_memory > SECONDS_BETWEEN_MEMORY:
                looked_at_memory = time.monotonic()
                running.look_at_memory(_members.Snapshot())
            time.sleep(SECONDS_BETWEEN_LOOKS)
        except KeyboardInterrupt:
            running.stop("cancelled")


@functools.cache
def _environment() -> dict[str, Any]:
    return {"machine": machine.facts(), "versions": machine.versions()}
