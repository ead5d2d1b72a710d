"""Every layer is split over the processes: attention by heads, the feed-forward layer by its width."""

from __future__ import annotations

from workbench.extents import Extents
from workbench.layout import _by_extents


class Tensor(_by_extents.ByExtents):
    """Processes talk four times in each block, so they belong on one host."""

    title = "Tensor parallel"
    source = "Shoeybi et al., arXiv 1909.08053, section 3; sequence parallel: Korthikanti et al., arXiv 2205.05198"

    sequence_parallel: bool = _by_extents.sequence_parallel()
    accumulate: int = _by_extents.accumulate()
    recompute: bool = _by_extents.recompute()

    def extents(self, num_processes: int) -> Extents:
        return Extents(
            tensor=num_processes, sequence_parallel=self.sequence_parallel, microbatches=self.accumulate,
            recompute=self.recompute,
        )  # fmt: skip
