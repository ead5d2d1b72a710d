"""The one place that says which layouts are right, for which model, batch and number of processes; asks no torch.

Every combination that is let through was compared with one process in float64. Composable replication beside pipelines, and
DistributedDataParallel beside tensor and pipeline parallelism, train something else without an error (torch 2.13), so a data
axis beside another one is always sharded; zero-bubble schedules beside a data axis are wrong or crash, so there are none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from workbench.layout import _blocks
from workbench.nouns import ModelCard


@dataclass(frozen=True)
class Extents:
    """How many ways each axis splits: pipeline × replicate × shard × tensor = processes."""

    replicate: int = 1
    shard: int = 1
    tensor: int = 1
    pipeline: int = 1
    sequence_parallel: bool = False
    schedule: str = "1F1B"
    stages_per_process: int = 1
    microbatches: int = 1
    recompute: bool = False

    @property
    def data(self) -> int:
        """How many ways the examples of an update are split."""
        return self.replicate * self.shard

    @property
    def num_processes(self) -> int:
        return self.data * self.tensor * self.pipeline

    @property
    def num_stages(self) -> int:
        return self.pipeline * self.stages_per_process

    def why_not(self, card: ModelCard, *, num_processes: int, batch_size: int) -> list[str]:
        """Return every reason against training this model so."""
        reasons = self._why_not_extents(num_processes) + self._why_not_batch(batch_size)
        blocks = _blocks.of(card)
        if self.recompute and (blocks is None or not blocks.is_cuttable):
            reasons.append(f"recompute needs blocks that are known ({_blocks.KNOWN})")
        if self.tensor > 1:
            reasons += self._why_not_tensor(card, blocks)
        if self.pipeline > 1:
            reasons += self._why_not_pipeline(card, blocks)
        return reasons

    def _why_not_extents(self, num_processes: int) -> list[str]:
        reasons = []
        if self.num_processes != num_processes:
            axes = {"replicate": self.replicate, "shard": self.shard, "tensor": self.tensor, "pipeline": self.pipeline}
            product = " × ".join(f"{name} {size}" for name, size in axes.items() if size > 1) or "every axis is 1"
            reasons.append(f"{product} = {self.num_processes} processes, the launcher starts {num_processes}")
        if self.replicate > 1 and self.shard == 1 and self.tensor * self.pipeline > 1:
            reasons.append(
                f"replicate={self.replicate} without shard beside tensor or pipeline gives other gradients than one process "
                f"does: use shard={self.replicate}, which is exact"
            )
        if self.sequence_parallel and self.tensor == 1:
            reasons.append("sequence_parallel needs tensor > 1")
        return reasons

    def _why_not_batch(self, batch_size: int) -> list[str]:
        pieces = self.data * self.microbatches
        if pieces > batch_size:
            return [
                f"batch_size={batch_size} gives some of {self.data} × {self.microbatches} (data × microbatches) nothing to do"
            ]
        return []

    def _why_not_tensor(self, card: ModelCard, blocks: _blocks.Blocks | None) -> list[str]:
        if blocks is None or blocks.plan is None:
            return [
                f"how to split the layers of {card.name} isn't known ({_blocks.SPLIT}): use data_parallel or sharded"
            ]
        if card.structure == "reshaped":
            return ["layers were reshaped one by one, so they don't split alike: train before pruning, or use sharded"]
        reasons = [
            f"{what}={size} can't be split {self.tensor} ways"
            for what, size in blocks.split_sizes().items()
            if size % self.tensor
        ]
        length = blocks.num_tokens(card)
        if self.sequence_parallel and not blocks.plan.norms:
            reasons.append(
                "sequence_parallel needs normalisation before attention and feed-forward, here it comes after"
            )
        if self.sequence_parallel and (length is None or length % self.tensor):
            told = (
                "their number isn't known" if length is None else f"{length} tokens can't be split {self.tensor} ways"
            )
            reasons.append(f"sequence_parallel splits the tokens, and {told}")
        return reasons

    def _why_not_pipeline(self, card: ModelCard, blocks: _blocks.Blocks | None) -> list[str]:
        if blocks is None or not blocks.is_cuttable:
            return [f"how to cut {card.name} into stages isn't known ({_blocks.KNOWN}): use data_parallel or sharded"]
        reasons = []
        if card.task == "text-classification" and blocks.start in _blocks.DECODERS:
            reasons.append("it answers at the last token that isn't padding, and the last stage doesn't get the tokens")
        if blocks.is_tied(card):
            reasons.append("the first and the last layer share one weight, and they would lie in different stages")
        if blocks.num < self.num_stages:
            reasons.append(f"{blocks.num} layers don't make {self.num_stages} stages")
        if self.microbatches < self.pipeline:
            reasons.append(
                f"microbatches={self.microbatches} leave some of {self.pipeline} stages idle all the time: {self.pipeline} or more"
            )
        is_interleaved = self.schedule == "Interleaved1F1B"
        if is_interleaved != (self.stages_per_process > 1):
            reasons.append("stages_per_process > 1 goes with schedule=Interleaved1F1B, and it with that")
        if is_interleaved and self.microbatches % self.pipeline:
            reasons.append(f"Interleaved1F1B wants microbatches that are a multiple of pipeline={self.pipeline}")
        return reasons

    def stage_blocks(self, num_blocks: int) -> list[range]:
        """Return the blocks of each stage, in order, as even as it goes."""
        ends = [math.ceil(num_blocks * stage / self.num_stages) for stage in range(self.num_stages + 1)]
        return [range(begin, end) for begin, end in zip(ends, ends[1:])]
