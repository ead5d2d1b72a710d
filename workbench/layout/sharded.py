"""Every process learns from its share of each update, and holds only its share of the model's state."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.layout._extents import Extents
from workbench.nouns import ModelCard
from workbench.params import param
from workbench.part import Layout

if TYPE_CHECKING:
    from workbench.spread import Spread


class Sharded(Layout):
    """Parameters are gathered block by block while they are used. Any model can be trained so."""

    title = "Fully sharded data parallel"
    source = "Zhao et al., arXiv 2304.11277 (torch's fully_shard); with replicate > 1 hybrid sharding"

    replicate: int = param(1, help="Groups of processes that each hold the whole state", unit="groups", ge=1, le=4096)
    accumulate: int = param(
        1, help="Pieces of a process's share that are computed one after the other", unit="pieces", ge=1, le=4096
    )
    recompute: bool = param(
        False, help="Compute activations of blocks again in the backward pass instead of keeping them"
    )

    def why_not(self, card: ModelCard, *, num_processes: int, batch_size: int) -> list[str]:
        return self._extents(num_processes).why_not(card, num_processes=num_processes, batch_size=batch_size)

    def spread(self, folder: Path, *, every: int) -> Spread:
        import torch.distributed as dist

        from workbench.layout._split import Split

        return Split(self._extents(dist.get_world_size()), folder, every)

    def _extents(self, num_processes: int) -> Extents:
        return Extents(
            replicate=self.replicate,
            shard=max(1, num_processes // self.replicate),
            microbatches=self.accumulate,
            recompute=self.recompute,
        )
