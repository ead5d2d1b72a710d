"""Every process learns from its share of each update, and holds only its share of the model's state."""

from __future__ import annotations

from workbench.extents import Extents
from workbench.layout import _by_extents
from workbench.params import param


class Sharded(_by_extents.ByExtents):
    """Parameters are gathered block by block while they are used. Any model can be trained so."""

    title = "Fully sharded data parallel"
    source = "Zhao et al., arXiv 2304.11277 (torch's fully_shard); with replicate > 1 hybrid sharding"

    replicate: int = param(1, help="Groups of processes that each hold the whole state", unit="groups", ge=1, le=4096)
    accumulate: int = _by_extents.accumulate()
    recompute: bool = _by_extents.recompute()

    def extents(self, num_processes: int) -> Extents:
        shard = max(1, num_processes // self.replicate)
        return Extents(self.replicate, shard, microbatches=self.accumulate, recompute=self.recompute)
