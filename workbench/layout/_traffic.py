"""What each process of a layout sends for one update, by axis, from a model's card: bytes and calls, by ring collectives."""

from __future__ import annotations

from workbench.extents import Extents
from workbench.layout import _blocks
from workbench.nouns import ModelCard

FLOAT = 4
BUCKET_BYTES = 25e6  # of gradients that DistributedDataParallel reduces in one call


def traffic(extents: Extents, card: ModelCard, *, batch_size: int) -> dict[str, tuple[float, float]]:
    """Return (bytes, calls) by axis; axes that split nothing are left out.

    replicate: gradients reduced. shard: each block's parameters gathered for both passes of every piece, gradients scattered
    (in a pipeline gathered once). tensor: two sums of a block's outputs there, two back. pipeline: outputs there, gradients back.
    """
    blocks = _blocks.of(card)
    num_blocks = blocks.num / extents.pipeline if blocks else 1
    size = FLOAT * card.num_params / extents.tensor / extents.pipeline
    rows = batch_size / extents.data
    found = {}
    if extents.replicate > 1:
        found["replicate"] = size / extents.shard * 2 * _others(extents.replicate), max(1.0, size / BUCKET_BYTES)
    if extents.shard > 1:
        gathers = 1 if extents.pipeline > 1 else 2 * extents.microbatches
        found["shard"] = size * (gathers + 1) * _others(extents.shard), (num_blocks + 1) * (gathers + 1)
    if extents.tensor > 1 and blocks:
        sums = 6 if extents.recompute else 4
        a_sum = FLOAT * _blocks.inputs_of(blocks) * rows
        calls = sums * num_blocks * extents.microbatches
        found["tensor"] = sums * num_blocks * a_sum * 2 * _others(extents.tensor), calls
    if extents.pipeline > 1 and blocks:
        hops = 2 * extents.stages_per_process
        found["pipeline"] = hops * FLOAT * _blocks.inputs_of(blocks) * rows, hops * extents.microbatches
    return found


def _others(ways: int) -> float:
    return (ways - 1) / ways
