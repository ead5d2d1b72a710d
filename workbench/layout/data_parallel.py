"""Every process has the whole model and learns from its share of each update."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.layout._extents import Extents
from workbench.nouns import ModelCard
from workbench.params import param
from workbench.part import Layout

if TYPE_CHECKING:
    from workbench.spread import Spread


class DataParallel(Layout):
    """As many ways as there are processes. Memory per process is that of training the whole model."""

    title = "Data parallel"
    source = "Li et al., arXiv 2006.15704 (torch's DistributedDataParallel)"

    accumulate: int = param(
        1, help="Pieces of a process's share that are computed one after the other", unit="pieces", ge=1, le=4096
    )

    def why_not(self, card: ModelCard, *, num_processes: int, batch_size: int) -> list[str]:
        return self._extents(num_processes).why_not(card, num_processes=num_processes, batch_size=batch_size)

    def spread(self, folder: Path, *, every: int) -> Spread:
        import torch.distributed as dist

        from workbench.layout._replicated import Replicated

        return Replicated(self._extents(dist.get_world_size()), folder, every)

    def _extents(self, num_processes: int) -> Extents:
        return Extents(replicate=num_processes, microbatches=self.accumulate)
