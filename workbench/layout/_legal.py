"""The one place that says which layouts are right for which model, batch and number of processes; asks no torch.

What holds for any model is `Extents`' own to say.
"""

from __future__ import annotations

from workbench.extents import Extents
from workbench.layout import _blocks
from workbench.nouns import ModelCard


def why_not(extents: Extents, card: ModelCard, *, num_processes: int, batch_size: int) -> list[str]:
    """Return every reason against training this model so."""
    reasons = _why_not_processes(extents, num_processes) + extents.why_not_together()
    reasons += _why_not_batch(extents, batch_size)
    blocks = _blocks.of(card)
    if extents.recompute and (blocks is None or not blocks.is_cuttable):
        reasons.append(f"recompute needs blocks that are known ({_blocks.KNOWN})")
    if extents.tensor > 1:
        reasons += _why_not_tensor(extents, card, blocks)
    if extents.pipeline > 1:
        reasons += _why_not_pipeline(extents, card, blocks)
    return reasons


def _why_not_processes(extents: Extents, num_processes: int) -> list[str]:
    if extents.num_processes == num_processes:
        return []
    axes = {name: getattr(extents, name) for name in ("replicate", "shard", "tensor", "pipeline")}
    product = " × ".join(f"{name} {size}" for name, size in axes.items() if size > 1) or "every axis is 1"
    return [f"{product} = {extents.num_processes} processes, the launcher starts {num_processes}"]


def _why_not_batch(extents: Extents, batch_size: int) -> list[str]:
    if extents.data * extents.microbatches <= batch_size:
        return []
    pieces = f"{extents.data} × {extents.microbatches} (data × microbatches)"
    return [f"batch_size={batch_size} gives some of {pieces} nothing to do"]


def _why_not_tensor(extents: Extents, card: ModelCard, blocks: _blocks.Blocks | None) -> list[str]:
    if blocks is None or blocks.plan is None:
        return [f"how to split the layers of {card.name} isn't known ({_blocks.SPLIT}): use data_parallel or sharded"]
    if card.structure == "reshaped":
        return ["layers were reshaped one by one, so they don't split alike: train before pruning, or use sharded"]
    reasons = extents.why_not_split(blocks.split_sizes())
    length = blocks.num_tokens(card)
    if extents.sequence_parallel and not blocks.plan.norms:
        reasons.append("sequence_parallel needs normalisation before attention and feed-forward, here it comes after")
    if extents.sequence_parallel and (length is None or length % extents.tensor):
        told = "their number isn't known" if length is None else f"{length} tokens can't be split {extents.tensor} ways"
        reasons.append(f"sequence_parallel splits the tokens, and {told}")
    return reasons


def _why_not_pipeline(extents: Extents, card: ModelCard, blocks: _blocks.Blocks | None) -> list[str]:
    if blocks is None or not blocks.is_cuttable:
        return [f"how to cut {card.name} into stages isn't known ({_blocks.KNOWN}): use data_parallel or sharded"]
    reasons = []
    if card.task == "text-classification" and blocks.start in _blocks.DECODERS:
        reasons.append("it answers at the last token that isn't padding, and the last stage doesn't get the tokens")
    if blocks.is_tied(card):
        reasons.append("the first and the last layer share one weight, and they would lie in different stages")
    reasons += extents.why_not_cut(blocks.num)
    if extents.microbatches < extents.pipeline:
        reasons.append(
            f"microbatches={extents.microbatches} leave some of {extents.pipeline} stages idle all the time: "
            f"{extents.pipeline} or more"
        )
    is_interleaved = extents.schedule == "Interleaved1F1B"
    if is_interleaved != (extents.stages_per_process > 1):
        reasons.append("stages_per_process > 1 goes with schedule=Interleaved1F1B, and it with that")
    if is_interleaved and extents.microbatches % extents.pipeline:
        reasons.append(f"Interleaved1F1B wants microbatches that are a multiple of pipeline={extents.pipeline}")
    return reasons
