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
from workbench.spread import Batch, Loss


class Pipelined(Split):
    """The schedule is torch's. Its shapes are fixed, so rows are padded to the largest share, and padding has no loss."""

    def placed(self, model: nn.Module) -> nn.Module:
        extents, rank = self.extents, self.mesh.get_local_rank("pipeline")
        self._objective: Loss | None = None
        self._batch: Batch | None = None
        self._total, self._rows_of_a_pass = 0, 0
        self._schedule: Any = None  # for passes of so many rows; None = before the first
        self._numbers = [rank + extents.pipeline * turn for turn in range(extents.stages_per_process)]
        self.stages = [self._stage(model, number) for number in self._numbers]
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
        self._fit_schedule(len(batch))
        padded = torch.full((self._rows_of_a_pass,), -1, dtype=torch.int64, device=self.device)
        padded[: len(rows)] = rows
        args = (padded,) if any(stage.is_first for stage in self.stages) else ()
        is_last = any(stage.is_last for stage in self.stages)
        losses: list[Tensor] = []
        self._schedule.step(
            *args, rows=padded, target=padded if is_last else None, losses=losses if is_last else None,
            return_outputs=False,
        )  # fmt: skip
        return sum(float(loss) for loss in losses) / (self.extents.data * self.extents.tensor)

    def _fit_schedule(self, num_rows: int) -> None:
        """Make the schedule anew when an update has more rows than any before: one that goes on may begin with a short one."""
        pieces = self.extents.data * self.extents.microbatches
        needed = -(-num_rows // pieces) * self.extents.microbatches
        if needed <= self._rows_of_a_pass:
            return
        self._rows_of_a_pass = needed
        made: Any = get_schedule_class(self.extents.schedule)
        group = self.mesh.get_group("pipeline")
        pipeline = [
            PipelineStage(stage, number, self.extents.num_stages, self.device, group=group)
            for stage, number in zip(self.stages, self._numbers)
        ]
        whole = pipeline if issubclass(made, PipelineScheduleMulti) else pipeline[0]
        self._schedule = made(whole, self.extents.microbatches, loss_fn=self._loss, scale_grads=False)

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
