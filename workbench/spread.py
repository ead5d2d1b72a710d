"""What the training loop asks of the processes that it runs on: one process is `Spread` itself, layouts bring others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

IGNORED_TARGET = -100  # positions that carry no loss, as in torch's cross_entropy

Loss = Callable[["nn.Module", "dict[str, Tensor]", "Tensor"], "Tensor"]


@dataclass(frozen=True)
class Batch:
    """Some rows of what one update learns from; mixed images have two targets, each with its share of the loss."""

    inputs: Mapping[str, Tensor]
    targets: tuple[tuple[float, Tensor], ...]  # (share, targets); shares add up to 1

    def __len__(self) -> int:
        return len(self.targets[0][1])

    def rows(self, index: Any) -> Batch:
        """Return the rows at `index` (a slice or an integer tensor)."""
        inputs = {name: tensor[index] for name, tensor in self.inputs.items()}
        return Batch(inputs, tuple((share, targets[index]) for share, targets in self.targets))

    def num_targets(self) -> int:
        """Count the targets that carry loss: what a mean over this batch is a mean of."""
        return int((self.targets[0][1] != IGNORED_TARGET).sum())

    def loss(self, objective: Loss, model: Any) -> Tensor:
        """Return the mean loss of a model, or of anything that answers like one."""
        values = [share * objective(model, dict(self.inputs), targets) for share, targets in self.targets]
        return values[0] if len(values) == 1 else values[0] + values[1]


class AllRows:
    """What a module that watches its inputs while it trains asks: here this process has all rows of an update.

    Such a module has one as its attribute `all_rows`; a layout that gives its process only some of the rows puts its own there.
    """

    def widest(self, ends: Tensor) -> Tensor:
        """Return (lowest, highest) over the rows of all processes, of which this one has seen `ends`, zero between them."""
        return ends

    def count(self, number: int) -> int:
        """Return the sum over all processes."""
        return number


class Spread:
    """How the loop's work is done: here, by this process alone, with the model as it is. Layouts override what differs."""

    model: nn.Module
    modules: list[nn.Module]  # what this process trains, parameters named as in `model`

    def __init__(self, folder: Path | None = None, every: int = 0) -> None:
        """Go on from the newest checkpoint in `folder` (None: there is none), and write one `every` so many updates (0: none)."""
        self.folder, self.every = folder, every
        self._say: Callable[..., None] = lambda *args, **named: None
        self._writer: Any = None  # of checkpoints; None = none was written yet

    def place(self, model: nn.Module, *, seed: int, mixed_precision: bool) -> None:
        """Take a model over for training, in place."""
        self.model, self.modules, self.mixed_precision = model, [model], mixed_precision

    @property
    def device(self) -> Any:
        """The device that this process computes on."""
        return next(self.modules[0].parameters()).device

    def arithmetic(self) -> contextlib.AbstractContextManager[Any]:
        """Return what forward passes run inside: bfloat16 where that was asked for."""
        import torch

        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.mixed_precision)

    def backward(self, objective: Loss, batch: Batch) -> float:
        """Add the gradients of the whole batch's mean loss to the parameters, and return that loss."""
        with self.arithmetic():
            value = batch.loss(objective, self.model)
        value.backward()
        return float(value.item())

    def clip(self, limit: float) -> None:
        """Scale all gradients down where their norm over the whole model is above `limit`."""
        import torch

        torch.nn.utils.clip_grad_norm_(self.modules[0].parameters(), limit)

    def resume(self, optimizers: list[Any]) -> tuple[int, float]:
        """Take up what an interrupted training left; returns (updates done, sum of losses in their epoch)."""
        if self.folder is None or not self.same(self.folder.is_dir()):
            return 0, 0.0
        from workbench import _checkpoints

        found = self.same(_checkpoints.newest(self.folder))
        if found is None:
            return 0, 0.0
        done, sum_loss = _checkpoints.load(found, self.modules, optimizers)
        self._say(f"going on after update {done}")
        return done, sum_loss

    def keep(self, optimizers: list[Any], *, done: int, sum_loss: float) -> None:
        """Called after each update: what `resume` needs is written now and then."""
        if self.folder is None or not self.every or done % self.every:
            return
        from workbench import _checkpoints

        self._writer = self._writer or _checkpoints.Writer(self.folder, self._say)
        self._writer.save(self.modules, optimizers, done=done, sum_loss=sum_loss)

    def same(self, value: Any) -> Any:
        """Return a value that all processes shall have alike."""
        return value

    def talk(self, say: Callable[..., None]) -> Callable[..., None]:
        """Return the `say` of the loop; several processes stop together, so theirs is not where a cancelled one stops."""
        self._say = say
        return say

    def close(self) -> None:
        """Finish the checkpoint that is being written: called however the training ends."""
        if self._writer is not None:
            self._writer.wait()

    def end(self) -> None:
        """Bring the trained weights back into `model`, whole, on every process, and forget the checkpoints."""
        self.collect()
        if self._writer is not None:
            self._writer.clear()

    def collect(self) -> None:
        """Bring the trained weights back into `model`: here they are in it already."""
