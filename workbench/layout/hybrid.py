"""Any product of the axes: replicated × sharded data, tensor and pipeline parallel."""

from __future__ import annotations

from workbench.extents import Extents, Schedule
from workbench.layout import _by_extents
from workbench.params import param


class Hybrid(_by_extents.ByExtents):
    """The product of the axes is the number of processes. Data is always sharded here: see `workbench.extents`."""

    title = "Hybrid parallel"
    source = "Narayanan et al., arXiv 2104.04473; data axis: torch's fully_shard, arXiv 2304.11277"

    replicate: int = param(1, help="Groups that each hold the whole state", unit="groups", ge=1, le=4096)
    shard: int = param(1, help="Ways that state and examples are sharded", unit="ways", ge=1, le=4096)
    tensor: int = param(1, help="Ways that each layer is split", unit="ways", ge=1, le=256)
    pipeline: int = param(1, help="Ways that the blocks are laid out one after the other", unit="ways", ge=1, le=256)
    sequence_parallel: bool = _by_extents.sequence_parallel()
    schedule: Schedule = _by_extents.schedule()
    microbatches: int = _by_extents.microbatches()
    stages_per_process: int = _by_extents.stages_per_process()
    recompute: bool = _by_extents.recompute()

    def extents(self, num_processes: int) -> Extents:
        return Extents(**self.model_dump())
