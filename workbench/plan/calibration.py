"""How far plans were off on this machine: what `workbench scale` measured with 2 to 8 processes, beside what was expected.

State bytes are expected from the model's card alone. A step's time takes one process's measured time for its computing, so
what is judged is what working together adds: sharing cores, collectives, and a pipeline's idling.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench import catalog
from workbench.job import Job
from workbench.plan import ways

STATE = ("parameters", "gradients", "optimizer")
RECOMPUTED = 8 / 6  # operations with the forward pass done twice, over those without
STATE_BAR, TIME_BAR = 0.02, 0.25  # shares that plans may be off
NONE = (
    "No plan has been held against a measured run here yet: workbench scale --layout … --processes 2,4 measures some."
)


@dataclass(frozen=True)
class Compared:
    """One layout on some processes: bytes of the fullest process's state, seconds of an update."""

    title: str
    processes: int
    date: str
    state_planned: float
    state_measured: float
    seconds_planned: float | None  # None = no round was kept, or nothing is known of the machine
    seconds_measured: float | None

    @property
    def state_error(self) -> float:
        return self.state_planned / self.state_measured - 1

    @property
    def time_error(self) -> float | None:
        """None while there is no time to compare."""
        if self.seconds_planned is None or self.seconds_measured is None:
            return None
        return self.seconds_planned / self.seconds_measured - 1

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "state_error": self.state_error, "time_error": self.time_error}


def compare(records: Sequence[Mapping[str, Any]]) -> list[Compared]:
    """Hold each number of processes of each record of `workbench scale` against its plan; the newest of each layout counts."""
    found: dict[tuple[str, int], Compared] = {}
    for record in sorted(records, key=lambda each: str(each["date"])):
        for each in _of(record):
            found[each.title, each.processes] = each
    return list(found.values())


def in_words(compared: Sequence[Compared]) -> str:
    """Return how far plans were off, and whether that is within the bars."""
    if not compared:
        return NONE
    state = max(abs(each.state_error) for each in compared)
    told = f"Held against {len(compared)} measured small layouts here: state bytes off by at most {state:.1%} (bar {STATE_BAR:.0%})"
    times = [abs(each.time_error) for each in compared if each.time_error is not None]
    if not times:
        return f"{told}; no time was measured undisturbed."
    return f"{told}, an update's time by {statistics.median(times):.0%} in the median and {max(times):.0%} at most (bar {TIME_BAR:.0%})."


def _of(record: Mapping[str, Any]) -> Iterator[Compared]:
    for point in record["points"]:
        if not point.get("state_bytes"):
            continue  # measured before bytes were
        job = _over(Job.from_json(dict(record["job"])), point["processes"])
        card = job.model.card(job.data.card())
        planned = ways.way(job, card)
        if planned.reasons:
            continue  # such a layout isn't legal any more
        fullest = max(sum(parts[name] for name in STATE) for parts in planned.rank_bytes)
        rounds = [each for each in point["rounds"] if each["kept"]]
        measured = statistics.median(each["together_s"] for each in rounds) if rounds else None
        solo = statistics.median(each["solo_s"] for each in rounds) if rounds else None
        title = f"{record['title'].rpartition(', ')[0]}, {planned.title}"
        yield Compared(
            title, point["processes"], str(record["date"]), fullest, float(max(point["state_bytes"])),
            _seconds(planned, job, solo), measured,
        )  # fmt: skip


def _over(job: Job, num: int) -> Job:
    """Return the job as `workbench scale` ran it: the step's batch for each process."""
    index, step = next((index, step) for index, step in enumerate(job.steps) if step.spreads and step.trains)
    grown: Any = step.model_copy(update={"batch_size": int(step.batch_size) * num})  # type: ignore[attr-defined]
    steps = (*job.steps[:index], grown, *job.steps[index + 1 :])
    launcher: Any = catalog.make("launch", {"use": "torchrun", "nproc": num})
    return replace(job, steps=steps, launcher=launcher)


def _seconds(planned: ways.Way, job: Job, solo: float | None) -> float | None:
    """Return an update's seconds when one process alone takes `solo` for its share."""
    if solo is None or planned.seconds is None or job.layout is None:
        return None
    num = job.launcher.num_processes
    passes = RECOMPUTED if job.layout.extents(num).recompute else 1.0
    busy = solo * passes * max(1.0, num / (os.cpu_count() or 1)) + planned.seconds["communication"]
    return busy / (1 - planned.seconds["idle"] / sum(planned.seconds.values()))
