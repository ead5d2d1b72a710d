"""How many ways each axis of a layout splits, and which products are right whatever is trained; asks no torch.

Every combination that is let through was compared with one process in float64. Composable replication beside pipelines, and
DistributedDataParallel beside tensor and pipeline parallelism, train something else without an error (torch 2.13), so a data
axis beside another one is always sharded; zero-bubble schedules beside a data axis are wrong or crash, so there are none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Schedule = Literal["1F1B", "GPipe", "Interleaved1F1B"]


@dataclass(frozen=True)
class Extents:
    """How many ways each axis splits: pipeline × replicate × shard × tensor = processes."""

    replicate: int = 1
    shard: int = 1
    tensor: int = 1
    pipeline: int = 1
    sequence_parallel: bool = False
    schedule: Schedule = "1F1B"
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

    def why_not_together(self) -> list[str]:
        """Return reasons against these axes beside each other, for any model."""
        reasons = []
        if self.replicate > 1 and self.shard == 1 and self.tensor * self.pipeline > 1:
            reasons.append(
                f"replicate={self.replicate} without shard beside tensor or pipeline gives other gradients than one process "
                f"does: use shard={self.replicate}, which is exact"
            )
        if self.sequence_parallel and self.tensor == 1:
            reasons.append("sequence_parallel needs tensor > 1")
        return reasons

    def why_not_split(self, sizes: Mapping[str, int]) -> list[str]:
        """Return reasons against splitting layers with so many heads and such a width, by name."""
        return [
            f"{what}={size} can't be split {self.tensor} ways" for what, size in sizes.items() if size % self.tensor
        ]

    def why_not_cut(self, num_blocks: int) -> list[str]:
        """Return reasons against cutting so many blocks into stages."""
        return [] if num_blocks >= self.num_stages else [f"{num_blocks} layers don't make {self.num_stages} stages"]

    def stage_blocks(self, num_blocks: int) -> list[range]:
        """Return the blocks of each stage, in order, as even as it goes."""
        ends = [math.ceil(num_blocks * stage / self.num_stages) for stage in range(self.num_stages + 1)]
        return [range(begin, end) for begin, end in zip(ends, ends[1:])]
