"""The bytes that each process of a layout needs, by what they hold, from a model's card; asks no torch.

Parameters, gradients and optimizer states are counted; what is gathered, and activations, are estimates. What the autograd
graph keeps of an example was read off this library's models (2026-12-01): inputs and outputs of linear layers within 12 % of it
for transformers, 2.3 times the outputs of convolutions within 20 %.
"""

from __future__ import annotations

from workbench.extents import Extents
from workbench.layout import _blocks
from workbench.nouns import Layer, ModelCard
from workbench.timetable import most_in_flight

FLOAT = 4
OPTIMIZER = {"adamw": 2, "sgd": 1}  # further numbers for each parameter
KEPT_OF_CONVOLUTIONS = 2.3


def rank_bytes(extents: Extents, card: ModelCard, *, batch_size: int, optimizer: str) -> list[dict[str, float]]:
    """Return for each process, in order, its bytes by part at the fullest moment of an update."""
    at = {
        (place, shard): _of(extents, card, place, shard, batch_size, optimizer)
        for place in range(extents.pipeline)
        for shard in range(extents.shard)
    }
    places = [(rank // (extents.data * extents.tensor), rank // extents.tensor % extents.shard) for rank in range(extents.num_processes)]  # fmt: skip
    return [at[place] for place in places]


def _of(extents: Extents, card: ModelCard, place: int, shard: int, batch_size: int, optimizer: str) -> dict[str, float]:
    blocks = _blocks.of(card)
    ours = [layer for layer, home in zip(card.layers, _homes(extents, card, blocks)) if home == place]
    size = FLOAT * sum(_num_params(layer, extents, blocks) for layer in ours)
    kept = FLOAT * sum(_num_params(layer, extents, blocks) * _share(layer, extents, shard) for layer in ours)
    rows = -(-batch_size // extents.data)
    passes = -(-rows // extents.microbatches)  # examples of one pass
    in_flight = most_in_flight(extents, place) / extents.stages_per_process if extents.pipeline > 1 else 1
    activations = FLOAT * sum(_kept_numbers(layer, extents, blocks) for layer in ours) * passes * in_flight
    if extents.recompute and blocks is not None:
        activations = activations / max(1, _num_ours(extents, blocks, place)) + _blocks.inputs_of(
            blocks
        ) * FLOAT * passes * (in_flight * _num_ours(extents, blocks, place))
    return {
        "parameters": kept,
        "gradients": kept,
        "optimizer": OPTIMIZER[optimizer] * kept,
        "gathered": _gathered(extents, ours, blocks, size),
        "activations": activations,
    }


def _homes(extents: Extents, card: ModelCard, blocks: _blocks.Blocks | None) -> list[int]:
    """Return each layer's process in the pipeline: blocks by their stage, what comes before them first, the rest last."""
    if extents.pipeline == 1 or blocks is None:
        return [0] * len(card.layers)
    stages = {index: stage for stage, indices in enumerate(extents.stage_blocks(blocks.num)) for index in indices}
    homes, has_begun = [], False
    for layer in card.layers:
        index = blocks.index_of(layer.name)
        has_begun = has_begun or index is not None
        stage = stages[index] if index is not None else extents.num_stages - 1 if has_begun else 0
        homes.append(stage % extents.pipeline)
    return homes


def _num_params(layer: Layer, extents: Extents, blocks: _blocks.Blocks | None) -> float:
    style = _style(layer, blocks)
    if extents.tensor == 1 or not style:
        return layer.num_params
    bias = layer.num_params - layer.num_weights
    return layer.num_weights / extents.tensor + (bias / extents.tensor if style == "columns" else bias)


def _share(layer: Layer, extents: Extents, shard: int) -> float:
    """Return the share of a layer that one of `extents.shard` holds: whole rows of it, the last ones fewer."""
    rows = layer.weight_shape[0] if layer.weight_shape else 1
    chunk = -(-rows // extents.shard)
    return max(0, min(chunk, rows - shard * chunk)) / rows


def _style(layer: Layer, blocks: _blocks.Blocks | None) -> str:
    """Return whether a layer's outputs (columns) or inputs (rows) can be split; empty = neither."""
    if blocks is None or blocks.plan is None or blocks.index_of(layer.name) is None:
        return ""
    inside = layer.name.removeprefix(f"{blocks.start}.").partition(".")[2]
    return "columns" if inside in blocks.plan.columns else "rows" if inside in blocks.plan.rows else ""


def _kept_numbers(layer: Layer, extents: Extents, blocks: _blocks.Blocks | None) -> float:
    """Return how many numbers the backward pass needs of one example in one layer."""
    if not layer.macs or len(layer.weight_shape) < 2:
        return 0.0
    positions = layer.macs / layer.num_weights
    outputs, inputs = layer.weight_shape[:2]
    if layer.kind != "linear":
        return KEPT_OF_CONVOLUTIONS * positions * outputs
    split, whole = (outputs, inputs) if _style(layer, blocks) == "columns" else (inputs, outputs)
    if not _style(layer, blocks):
        return positions * (inputs + outputs)
    return positions * (split / extents.tensor + whole / (extents.tensor if extents.sequence_parallel else 1))


def _num_ours(extents: Extents, blocks: _blocks.Blocks, place: int) -> int:
    stages = extents.stage_blocks(blocks.num)
    return sum(len(stages[place + extents.pipeline * turn]) for turn in range(extents.stages_per_process))


def _gathered(extents: Extents, ours: list[Layer], blocks: _blocks.Blocks | None, size: float) -> float:
    """Return the bytes of what is collected for use: whole blocks of sharded parameters, buckets of gradients."""
    if extents.shard == 1:
        return size if extents.replicate > 1 else 0.0
    if extents.pipeline > 1 or blocks is None:
        return size
    a_block = FLOAT * sum(_num_params(layer, extents, blocks) for layer in ours if blocks.index_of(layer.name) == 0)
    return min(
        size, size - (blocks.num - 2) * a_block
    )  # all that lies outside of blocks, one at work and one on its way
