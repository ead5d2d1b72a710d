"""Consecutive blocks on different processes, which pass on pieces of each update."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workbench.layout._extents import Extents
from workbench.nouns import ModelCard
from workbench.params import param
from workbench.part import Layout

if TYPE_CHECKING:
    from workbench.spread import Spread


class Pipeline(Layout):
    """Each process waits for its neighbours at the beginning and the end of an update: more microbatches, less waiting."""

    title = "Pipeline parallel"
    source = "GPipe: Huang et al., arXiv 1811.06965; 1F1B and interleaved: Narayanan et al., arXiv 2104.04473"

    schedule: Literal["1F1B", "GPipe", "Interleaved1F1B"] = param(
        "1F1B", help="In which order stages work: GPipe keeps all activations, the others few; interleaved idles least"
    )
    microbatches: int = param(4, help="Pieces that an update's share is sent through in", unit="pieces", ge=1, le=4096)
    stages_per_process: int = param(
        1, help="Stages on each process; more than one goes with Interleaved1F1B", unit="stages", ge=1, le=64
    )
    recompute: bool = param(
        False, help="Compute activations of blocks again in the backward pass instead of keeping them"
    )

    def why_not(self, card: ModelCard, *, num_processes: int, batch_size: int) -> list[str]:
        return self._extents(num_processes).why_not(card, num_processes=num_processes, batch_size=batch_size)

    def spread(self, folder: Path, *, every: int) -> Spread:
        import torch.distributed as dist

        from workbench.layout._pipelined import Pipelined

        return Pipelined(self._extents(dist.get_world_size()), folder, every)

    def _extents(self, num_processes: int) -> Extents:
        return Extents(
            pipeline=num_processes,
            schedule=self.schedule,
            microbatches=self.microbatches,
            stages_per_process=self.stages_per_process,
            recompute=self.recompute,
        )
