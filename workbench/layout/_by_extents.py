"""What every layout that is a product of axes has in common: its parameters' declarations, legality, and what carries it out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.layout import _legal, _memory, _traffic
from workbench.nouns import ModelCard
from workbench.params import param
from workbench.part import Layout

if TYPE_CHECKING:
    from workbench.spread import Spread


class ByExtents(Layout):
    """A layout whose `extents` say all of it."""

    def why_not(self, card: ModelCard, *, num_processes: int, batch_size: int) -> list[str]:
        extents = self.extents(num_processes)
        return _legal.why_not(extents, card, num_processes=num_processes, batch_size=batch_size)

    def rank_bytes(
        self, card: ModelCard, *, num_processes: int, batch_size: int, optimizer: str
    ) -> list[dict[str, float]]:
        return _memory.rank_bytes(self.extents(num_processes), card, batch_size=batch_size, optimizer=optimizer)

    def traffic(self, card: ModelCard, *, num_processes: int, batch_size: int) -> dict[str, tuple[float, float]]:
        return _traffic.traffic(self.extents(num_processes), card, batch_size=batch_size)

    def spread(self, folder: Path, *, every: int) -> Spread:
        import torch.distributed as dist

        from workbench.layout._pipelined import Pipelined
        from workbench.layout._split import Split

        extents = self.extents(dist.get_world_size())
        return (Pipelined if extents.pipeline > 1 else Split)(extents, folder, every)


def accumulate() -> Any:
    """Declare the parameter of this name, as the functions below do."""
    return param(
        1, help="Pieces of a process's share that are computed one after the other", unit="pieces", ge=1, le=4096
    )


def recompute() -> Any:
    return param(False, help="Compute activations of blocks again in the backward pass instead of keeping them")


def sequence_parallel() -> Any:
    return param(False, help="Split the tokens, too, where layers are not split")


def schedule() -> Any:
    told = "In which order stages work: GPipe keeps all activations, the others few; interleaved idles least"
    return param("1F1B", help=told)


def microbatches() -> Any:
    return param(4, help="Pieces that an update's share is sent through in", unit="pieces", ge=1, le=4096)


def stages_per_process() -> Any:
    told = "Stages on each process; more than one goes with Interleaved1F1B"
    return param(1, help=told, unit="stages", ge=1, le=64)
