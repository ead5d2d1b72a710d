"""Where a training stands, written while it goes on, and taken up by however many processes go on with it.

    <folder>/update-00000100/    torch.distributed.checkpoint: each process writes its part; complete when .metadata is there

Tensors are kept by the names that they have in the whole model, so another layout reads what it needs of them. Random numbers
are not kept: a model with dropout goes on with other masks.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.api import CheckpointException

if TYPE_CHECKING:
    from torch import nn

KEPT = 2  # complete ones


def newest(folder: Path) -> Path | None:
    """Return the newest complete checkpoint; None when there is none."""
    return max(_complete(folder), default=None)


def load(checkpoint: Path, modules: Sequence[nn.Module], optimizers: Sequence[Any]) -> tuple[int, float]:
    """Read parameters, buffers and optimizer states in place; returns (updates done, sum of losses in their epoch)."""
    for optimizer in optimizers:
        _fill(optimizer)
    state = _state(modules, optimizers, done=0, sum_loss=0.0)
    dcp.load(state, checkpoint_id=checkpoint, no_dist=not dist.is_initialized())
    return int(state["done"]), float(state["sum_loss"])


class Writer:
    """Writes one checkpoint at a time beside the training; a process group of its own keeps it out of the training's way."""

    def __init__(self, folder: Path, say: Callable[..., None]) -> None:
        self.folder, self.say = folder, say
        self.group = dist.new_group(backend="gloo") if dist.is_initialized() else None
        self.leads = not dist.is_initialized() or dist.get_rank() == 0
        self._writing: Future[Any] | None = None

    def save(self, modules: Sequence[nn.Module], optimizers: Sequence[Any], *, done: int, sum_loss: float) -> None:
        """Copy what there is to memory and return; writing goes on. A disk that is full costs the checkpoint, no training."""
        self.wait()
        self.folder.mkdir(parents=True, exist_ok=True)
        state = _state(modules, optimizers, done=done, sum_loss=sum_loss)
        path = self.folder / f"update-{done:08d}"
        writing: Any = dcp.async_save(state, checkpoint_id=path, process_group=self.group, no_dist=self.group is None)
        self._writing = writing

    def wait(self) -> None:
        """Return when the last one is written, or say why it couldn't be; older ones are then removed."""
        if self._writing is None:
            return
        writing, self._writing = self._writing, None
        try:
            writing.result()
        except (CheckpointException, OSError, RuntimeError) as error:
            self.say(f"a checkpoint could not be written, the one before stays: {_reason(error)}")
            return
        if self.leads:
            complete = sorted(_complete(self.folder))
            going = [
                path for path in self.folder.glob("update-*") if path < complete[-1] and path not in complete[-KEPT:]
            ]
            for path in going:
                shutil.rmtree(path, ignore_errors=True)

    def clear(self) -> None:
        """Remove all of them: the training has ended, and what came out of it is kept elsewhere."""
        self.wait()
        if self.group is not None:
            dist.barrier(group=self.group)
        if self.leads:
            shutil.rmtree(self.folder, ignore_errors=True)


def _complete(folder: Path) -> list[Path]:
    return [path for path in folder.glob("update-*") if (path / ".metadata").exists()]


def _state(modules: Sequence[nn.Module], optimizers: Sequence[Any], *, done: int, sum_loss: float) -> dict[str, Any]:
    """Return every tensor by a name that holds for the whole model."""
    state: dict[str, Any] = {"done": torch.tensor(done), "sum_loss": torch.tensor(sum_loss, dtype=torch.float64)}
    for module, optimizer in zip(modules, optimizers):
        state |= {f"model.{name}": tensor for name, tensor in module.state_dict().items()}
        names = {parameter: name for name, parameter in module.named_parameters()}
        for parameter, kept in optimizer.state.items():
            state |= {f"optimizer.{key}.{names[parameter]}": value for key, value in kept.items()}
    return state


def _fill(optimizer: Any) -> None:
    """Let an optimizer make its states, by an update that moves nothing."""
    rates = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    for group, rate in zip(optimizer.param_groups, rates):
        group["lr"] = rate


def _reason(error: BaseException) -> str:
    """Return the line that says what went wrong on the first process that had something go wrong."""
    failures = getattr(error, "failures", {})
    cause = next((failure[0] for failure in failures.values()), error)
    return (str(cause).strip().splitlines() or [type(cause).__name__])[-1]
