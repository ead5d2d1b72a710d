"""What every layout has in common: each process computes its rows of each update, and all hear of its loss and its end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from workbench.errors import Cancelled
from workbench.extents import Extents
from workbench.layout._batch_norm import Rows
from workbench.spread import IGNORED_TARGET, Batch, Loss, Spread


class Together(Spread):
    """Every process has the whole model in memory before and after; what is placed of it in between is a layout's own.

    Losses of the processes are weighed by their numbers of targets, so that gradients are those of one mean over the batch,
    also where it doesn't split evenly. Random numbers follow seed, update and rows: the same for processes with the same rows.
    """

    def __init__(self, extents: Extents, folder: Path, every: int) -> None:
        super().__init__(folder, every)
        self.extents, self.rows = extents, Rows()
        self.wrapped: Any = None  # what is asked for answers
        self._wants_to_stop, self._num_updates, self._seed = False, 0, 0

    @property
    def device(self) -> torch.device:
        return local_device()

    @property
    def data_rank(self) -> int:
        """Which part of an update's rows is this process's."""
        return dist.get_rank() // self.extents.tensor % self.extents.data

    def place(self, model: nn.Module, *, seed: int, mixed_precision: bool) -> None:
        super().place(model, seed=seed, mixed_precision=mixed_precision)
        self._seed, self._random = seed, torch.get_rng_state()
        self.wrapped = self.placed(model)

    def placed(self, model: nn.Module) -> nn.Module:
        """Return what answers for the model; sets `modules` where that isn't the model itself."""
        raise NotImplementedError

    def recomputing(self, model: Any) -> Any:
        """Return the model, told to keep no activations of its blocks where that was asked for (transformers' own switch)."""
        if self.extents.recompute:
            model.inner.gradient_checkpointing_enable({"use_reentrant": False})
        return model

    def talk(self, say: Callable[..., None]) -> Callable[..., None]:
        def told(*args: Any, **named: Any) -> None:
            try:
                say(*args, **named)
            except Cancelled:
                self._wants_to_stop = True  # heard by all of them in the next update

        return super().talk(told)

    def resume(self, optimizers: list[Any]) -> tuple[int, float]:
        self._num_updates, sum_loss = super().resume(optimizers)
        return self._num_updates, sum_loss

    def same(self, value: Any) -> Any:
        told = [value]
        dist.broadcast_object_list(told, src=0, device=torch.device("cpu"))
        return told[0]

    def close(self) -> None:
        super().close()
        torch.set_rng_state(self._random)  # what is drawn next is the same on all processes again

    def backward(self, objective: Loss, batch: Batch) -> float:
        self._num_updates += 1
        torch.manual_seed(hash((self._seed, self._num_updates, self.data_rank)) % 2**63)
        return self.agreed(self.own_backward(objective, batch, self.own_rows(len(batch))))

    def own_rows(self, num_rows: int) -> Tensor:
        """Return the rows of an update that this process learns from; none where there are fewer rows than processes."""
        return torch.arange(num_rows, device=self.device).tensor_split(self.extents.data)[self.data_rank]

    def own_backward(self, objective: Loss, batch: Batch, rows: Tensor) -> float:
        """Add this process's gradients; returns its share of the update's loss."""
        total, share = batch.num_targets(), 0.0
        pieces = rows.tensor_split(self.extents.microbatches)
        for number, piece in enumerate(pieces):
            part, weight = weighed(batch, piece, total)
            self.rows.count = weight > 0
            with self.unsynced(number + 1 < len(pieces)):
                with self.arithmetic():
                    value = part.loss(objective, self.wrapped)
                (value * (weight * self.extents.data)).backward()  # gradients are averaged over the data axis
            share += value.item() * weight
        return share / self.extents.tensor

    def unsynced(self, more_to_come: bool) -> contextlib.AbstractContextManager[Any]:
        """Return what a backward pass runs inside, before the last of an update."""
        return contextlib.nullcontext()

    def agreed(self, share: float) -> float:
        """Return the sum of all shares; raises Cancelled on every process when one was asked to stop."""
        told = torch.tensor([share, float(self._wants_to_stop)], dtype=torch.float64, device=self.device)
        dist.all_reduce(told)
        value, num_stopping = told.tolist()
        if num_stopping:
            raise Cancelled(f"cancelled before update {self._num_updates}", next_move="run it again to resume")
        return value


def weighed(batch: Batch, rows: Tensor, total: int) -> tuple[Batch, float]:
    """Return some rows and their share of a mean over `total` targets.

    Rows without a target would have no mean: one row that has some stands in for them, with a share of 0.
    """
    part = batch.rows(rows)
    if num := part.num_targets():
        return part, num / total
    targets = batch.targets[0][1]
    has_target = (targets != IGNORED_TARGET).reshape(len(targets), -1).any(1)
    return batch.rows(has_target.nonzero().flatten()[:1]), 0.0


def local_device() -> torch.device:
    """Return this process's accelerator where each process of this host has one of its own, else the CPU."""
    import os

    local_size, local_rank = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["LOCAL_RANK"])
    if torch.cuda.is_available() and torch.cuda.device_count() >= local_size:
        return torch.device("cuda", local_rank)
    return torch.device("cpu")
