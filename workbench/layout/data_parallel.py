"""Every process has the whole model and learns from its share of each update."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.extents import Extents
from workbench.layout import _by_extents

if TYPE_CHECKING:
    from workbench.spread import Spread


class DataParallel(_by_extents.ByExtents):
    """As many ways as there are processes. Memory per process is that of training the whole model."""

    title = "Data parallel"
    source = "Li et al., arXiv 2006.15704 (torch's DistributedDataParallel)"

    accumulate: int = _by_extents.accumulate()

    def extents(self, num_processes: int) -> Extents:
        return Extents(replicate=num_processes, microbatches=self.accumulate)

    def spread(self, folder: Path, *, every: int) -> Spread:
        import torch.distributed as dist

        from workbench.layout._replicated import Replicated

        return Replicated(self.extents(dist.get_world_size()), folder, every)
