"""Consecutive blocks on different processes, which pass on pieces of each update."""

from __future__ import annotations

from workbench.extents import Extents, Schedule
from workbench.layout import _by_extents


class Pipeline(_by_extents.ByExtents):
    """Each process waits for its neighbours at the beginning and the end of an update: more microbatches, less waiting."""

    title = "Pipeline parallel"
    source = "GPipe: Huang et al., arXiv 1811.06965; 1F1B and interleaved: Narayanan et al., arXiv 2104.04473"

    schedule: Schedule = _by_extents.schedule()
    microbatches: int = _by_extents.microbatches()
    stages_per_process: int = _by_extents.stages_per_process()
    recompute: bool = _by_extents.recompute()

    def extents(self, num_processes: int) -> Extents:
        return Extents(pipeline=num_processes, **self.model_dump())
