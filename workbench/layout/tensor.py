"""Every layer is split over the processes: attention by heads, the feed-forward layer by its width."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.layout._extents import Extents
from workbench.nouns import ModelCard
from workbench.params import param
from workbench.part import Layout

if TYPE_CHECKING:
    from workbench.spread import Spread


class Tensor(Layout):
    """Processes talk four times in each block, so they belong on one host."""

    title = "Tensor parallel"
    source = "Shoeybi et al., arXiv 1909.08053, section 3; sequence parallel: Korthikanti et al., arXiv 2205.05198"

    sequence_parallel: bool = param(False, help="Split the tokens, too, where layers are not split")
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
            tensor=num_processes,
            sequence_parallel=self.sequence_parallel,
            microbatches=self.accumulate,
            recompute=self.recompute,
        )
