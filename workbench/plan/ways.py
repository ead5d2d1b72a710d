"""Every way to spread a job's training over its processes: what is against it, bytes of each process, expected efficiency.

Worked out from the model's card, not measured. Times are those of this machine once `workbench doctor` has measured it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from workbench import catalog, ceilings
from workbench.errors import InvalidInput
from workbench.extents import Extents
from workbench.job import Job
from workbench.nouns import ModelCard
from workbench.part import TRAINED_AT_ONCE, Layout, Step
from workbench.timetable import idle_share

AXES = ("replicate", "shard", "tensor", "pipeline")
SHORT = {"replicate": "data_parallel", "shard": "sharded", "tensor": "tensor", "pipeline": "pipeline"}
LINK_BYTES_PER_SECOND = 0.6e9  # each way, gloo between two processes of one host (2 cores, 2026-12-01)
CALL_SECONDS = 0.7e-3  # a small collective there
EFFICIENCY = 0.5  # share of the peak that a training step's products reach
NOT_MEASURED = "communication isn't expected before workbench doctor has measured this machine"


@dataclass(frozen=True)
class Way:
    """A layout over so many processes. `efficiency` is its speed over that of as many independent processes, a core each."""

    layout: Mapping[str, Any]  # the part's record
    title: str  # "shard 2 × tensor 2"
    reasons: tuple[str, ...]  # against it; empty = it is right
    rank_bytes: tuple[Mapping[str, float], ...] = ()  # by process, by part
    seconds: Mapping[str, float] | None = None  # of one update: compute, communication, idle; None = not known
    efficiency: float | None = None  # None = not known
    note: str = ""

    @property
    def most_bytes(self) -> float:
        """Bytes of the fullest process."""
        return max((sum(parts.values()) for parts in self.rank_bytes), default=math.nan)


def ways(job: Job, card: ModelCard) -> list[Way]:
    """Return each product of axes over the job's processes, right ones first and of those the most efficient."""
    found = [way(replace(job, layout=layout), card) for layout in _layouts(job)]
    return sorted(found, key=lambda each: (bool(each.reasons), -(each.efficiency or 0.0), each.most_bytes))


def way(job: Job, card: ModelCard) -> Way:
    """Return the job's own layout, looked at on the first step that it spreads; `card` is the model's before all steps."""
    assert job.layout is not None
    layout, num, record = job.layout, job.launcher.num_processes, job.layout.to_json()
    title = title_of(layout.extents(num))
    try:
        index, step = _spread_step(job)
        at = job.cards(card)[index]
        batch_size = int(getattr(step, "batch_size", TRAINED_AT_ONCE))
        if reasons := layout.why_not(at, num_processes=num, batch_size=batch_size):
            return Way(record, title, tuple(reasons))
    except InvalidInput as error:
        return Way(record, title, tuple(error.problems))
    optimizer = str(getattr(step, "optimizer", "adamw"))
    memory = layout.rank_bytes(at, num_processes=num, batch_size=batch_size, optimizer=optimizer)
    return _expected(Way(record, title, (), tuple(memory)), layout, at, num, batch_size)


def title_of(extents: Extents) -> str:
    """Return the axes in words: `shard 2 × tensor 2`."""
    return " × ".join(f"{axis} {getattr(extents, axis)}" for axis in AXES if getattr(extents, axis) > 1) or "1 process"


def _layouts(job: Job) -> Iterator[Layout]:
    """Yield a layout for each product of axes; what else the job's own layout says, and fits, is kept."""
    num = job.launcher.num_processes
    own = job.layout.to_json() if job.layout else {}
    for sizes in _products(num, len(AXES)):
        split = {axis: size for axis, size in zip(AXES, sizes) if size > 1}
        use = SHORT[next(iter(split))] if len(split) == 1 else "hybrid"
        if set(split) == {"replicate", "shard"}:
            use = "sharded"
        known = set(catalog.get("layout", use).model_fields)
        rest = {name: value for name, value in own.items() if name in known - set(AXES) and name != "use"}
        if "pipeline" in known and "pipeline" not in split:
            rest |= {"microbatches": 1, "stages_per_process": 1, "schedule": "1F1B"}
        named = {axis: size for axis, size in split.items() if axis in known}
        yield catalog.make("layout", {"use": use, **rest, **named})  # type: ignore[misc]


def _products(number: int, count: int) -> Iterator[tuple[int, ...]]:
    if count == 1:
        yield (number,)
        return
    for first in range(number, 0, -1):
        if number % first == 0:
            yield from ((first, *rest) for rest in _products(number // first, count - 1))


def _spread_step(job: Job) -> tuple[int, Step]:
    for index, step in enumerate(job.steps):
        if step.spreads:
            return index, step
    raise InvalidInput(["no step here trains over several processes"])


def _expected(found: Way, layout: Layout, card: ModelCard, num: int, batch_size: int) -> Way:
    """Add times where this machine and the model's work are known, else what is known without them."""
    extents, cores = layout.extents(num), os.cpu_count() or 1
    idle = idle_share(extents) if extents.pipeline > 1 else 0.0
    rows = math.ceil(batch_size / extents.data)
    shared = max(1.0, num / cores)  # processes for each core
    measured = ceilings.known()
    if measured is None or card.macs is None:
        even = batch_size / (rows * extents.data)
        return replace(found, efficiency=even * (1 - idle) / shared, note=NOT_MEASURED)
    passes = 8 if extents.recompute else 6  # operations for each multiply-accumulate, backward included
    peak = measured["float32_gflops"] * 1e9 * EFFICIENCY
    compute = passes * card.macs * rows / (extents.tensor * extents.pipeline) / peak * shared
    sent = layout.traffic(card, num_processes=num, batch_size=batch_size).values()
    talk = sum(size / LINK_BYTES_PER_SECOND + calls * CALL_SECONDS for size, calls in sent) * shared
    waits = (compute + talk) * idle / (1 - idle)
    ideal = 6 * card.macs * batch_size / num / peak
    note = f"{num} processes share {cores} cores" if shared > 1 else ""
    seconds = {"compute": compute, "communication": talk, "idle": waits}
    return replace(found, seconds=seconds, efficiency=ideal / (compute + talk + waits), note=note)
