"""Consecutive blocks on different processes; each stage may be sharded and split itself."""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.pipelining import PipelineStage
from torch.distributed.pipelining.schedules import PipelineScheduleMulti, get_schedule_class

from workbench.layout import _splitting
from workbench.layout._split import Split
from workbench.layout._stage import Stage
from workbench.layout._together import weighed
from workbench.train import Batch, Loss


class Pipelined(Split):
    """The schedule is torch's. Its shapes are fixed, so rows are padded to the largest share, and padding has no loss."""

    def placed(self, model: nn.Module) -> nn.Module:
        extents, rank = self.extents, self.mesh.get_local_rank("pipeline")
        group = self.mesh.get_group("pipeline")
        self._objective: Loss | None = None
        self._batch: Batch | None = None
        self._total, self._rows_of_a_pass, self._schedule = 0, 0, None
        numbers = [rank + extents.pipeline * turn for turn in range(extents.stages_per_process)]
        self.stages = [self._stage(model, number) for number in numbers]
        self._pipeline = [
            PipelineStage(stage, number, extents.num_stages, self.device, group=group)
            for stage, number in zip(self.stages, numbers)
        ]
        self.modules = [stage.whole for stage in self.stages]
        return self.stages[0]

    def _stage(self, model: nn.Module, number: int) -> Stage:
        extents, whole = self.extents, self.recomputing(copy.deepcopy(model))
        kept = extents.stage_blocks(len(_splitting.named_blocks(whole)))[number]
        stage = Stage(whole, kept, is_first=number == 0, is_last=number == extents.num_stages - 1).to(self.device)
        stage.arithmetic = self.arithmetic
        if extents.tensor > 1:
            _splitting.split_tensors(whole, self.mesh["tensor"], sequence_parallel=extents.sequence_parallel)
        if extents.data > 1:
            _splitting.shard_fully(stage, stage.blocks, self.mesh, extents)
        return stage

    def own_backward(self, objective: Loss, batch: Batch, rows: Tensor) -> float:
        self._objective, self._batch, self._total = objective, batch, batch.num_targets()
        for stage in self.stages:
            stage.inputs = dict(batch.inputs)
        size = self._padded_size(len(batch))
        padded = torch.full((size,), -1, dtype=torch.int64, device=self.device)
        padded[: len(rows)] = rows
        args = (padded,) if any(stage.is_first for stage in self.stages) else ()
        is_last = any(stage.is_last for stage in self.stages)
        losses: list[Tensor] = []
        self._schedule_for(size).step(
            *args, rows=padded, target=padded if is_last else None, losses=losses if is_last else None,
            return_outputs=False,
        )  # fmt: skip
        return sum(float(loss) for loss in losses) / (self.extents.data * self.extents.tensor)

    def _padded_size(self, num_rows: int) -> int:
        """Return the rows of one pass: the most that a process had so far, in whole microbatches."""
        pieces = self.extents.data * self.extents.microbatches
        self._rows_of_a_pass = max(self._rows_of_a_pass, -(-num_rows // pieces) * self.extents.microbatches)
        return self._rows_of_a_pass

    def _schedule_for(self, size: int) -> Any:
        if self._schedule is None:
            made: Any = get_schedule_class(self.extents.schedule)
            pipeline = self._pipeline if issubclass(made, PipelineScheduleMulti) else self._pipeline[0]
            self._schedule = made(pipeline, self.extents.microbatches, loss_fn=self._loss, scale_grads=False)
        return self._schedule

    def _loss(self, outputs: Tensor, rows: Tensor) -> Tensor:
        """Return a microbatch's part of the mean over the batch, times the data axis: gradients are averaged over that."""
        assert self._batch is not None and self._objective is not None
        there = rows >= 0
        part, weight = weighed(self._batch, rows[there], self._total)
        if not weight:
            return outputs.sum() * 0.0
        answers = outputs[there]
        with self.arithmetic():
            return part.loss(self._objective, lambda **_: answers) * (weight * self.extents.data)

    def add_over_stages(self, total: Tensor) -> None:
        dist.all_reduce(total, group=self.mesh.get_group("pipeline"))

    def from_all_stages(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        group = self.mesh.get_group("pipeline")
        owners: list[Any] = [None] * self.extents.pipeline
        dist.all_gather_object(owners, list(state), group=group)
        ranks, found = dist.get_process_group_ranks(group), {}
        for name, home in self.model.state_dict().items():
            source = next(rank for rank, names in zip(ranks, owners) if name in names)
            tensor = state[name].contiguous() if name in state else torch.empty_like(home, device=self.device)
            dist.broadcast(tensor, src=source, group=group)
            found[name] = tensor
        return found
