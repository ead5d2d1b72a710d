"""Any product of the axes: replicated × sharded data, tensor and pipeline parallel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workbench.layout._extents import Extents
from workbench.nouns import ModelCard
from workbench.params import param
from workbench.part import Layout

if TYPE_CHECKING:
    from workbench.spread import Spread


class Hybrid(Layout):
    """The product of the axes is the number of processes. Data is always sharded here: see `_extents`."""

    title = "Hybrid parallel"
    source = "Narayanan et al., arXiv 2104.04473; data axis: torch's fully_shard, arXiv 2304.11277"

    replicate: int = param(1, help="Groups that each hold the whole state", unit="groups", ge=1, le=4096)
    shard: int = param(1, help="Ways that state and examples are sharded", unit="ways", ge=1, le=4096)
    tensor: int = param(1, help="Ways that each layer is split", unit="ways", ge=1, le=256)
    pipeline: int = param(1, help="Ways that the blocks are laid out one after the other", unit="ways", ge=1, le=256)
    sequence_parallel: bool = param(False, help="Split the tokens, too, where layers are not split")
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
        return self._extents().why_not(card, num_processes=num_processes, batch_size=batch_size)

    def spread(self, folder: Path, *, every: int) -> Spread:
        from workbench.layout._pipelined import Pipelined
        from workbench.layout._split import Split

        return (Pipelined if self.pipeline > 1 else Split)(self._extents(), folder, every)

    def _extents(self) -> Extents:
        return Extents(
            replicate=self.replicate,
            shard=self.shard,
            tensor=self.tensor,
            pipeline=self.pipeline,
            sequence_parallel=self.sequence_parallel,
            schedule=self.schedule,
            microbatches=self.microbatches,
            stages_per_process=self.stages_per_process,
            recompute=self.recompute,
        )
