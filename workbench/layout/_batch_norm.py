"""Batch normalisation over the rows of all processes, on any device (torch's SyncBatchNorm wants accelerators)."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm


@dataclass
class Rows:
    """Whether this process's rows count: those that stand in for none don't."""

    count: bool = True


def synchronise(model: nn.Module, rows: Rows) -> None:
    """Let every batch normalisation in `model` take mean and variance of all processes' rows while it is trained."""
    for module in _inside(model):
        module.forward = functools.partial(_forward, module, rows)  # type: ignore[method-assign]


def release(model: nn.Module) -> None:
    """Undo that."""
    for module in _inside(model):
        module.__dict__.pop("forward", None)


def _inside(model: nn.Module) -> list[_BatchNorm]:
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


def _forward(module: _BatchNorm, rows: Rows, inputs: Tensor) -> Tensor:
    """Normalise (N, C, …) per channel; gradients flow through the sums, as they do through those of one process."""
    if not module.training:
        return type(module).forward(module, inputs)
    axes = [axis for axis in range(inputs.ndim) if axis != 1]
    shape = [1, -1, *[1] * (inputs.ndim - 2)]
    weight = float(rows.count)
    num = inputs.new_tensor([weight * inputs.numel() / inputs.shape[1]])
    sums = all_reduce(torch.cat([inputs.sum(axes) * weight, num]))
    mean, total = sums[:-1] / sums[-1], sums[-1].detach()
    centred = inputs - mean.view(shape)
    variance = all_reduce(centred.square().sum(axes) * weight) / total
    _note(module, mean.detach(), variance.detach(), total)
    normal = centred * (variance + module.eps).rsqrt().view(shape)
    if module.weight is None:
        return normal
    return normal * module.weight.view(shape) + module.bias.view(shape)


def _note(module: _BatchNorm, mean: Tensor, variance: Tensor, total: Tensor) -> None:
    """Move the running statistics, as torch does: with the unbiased variance."""
    if module.running_mean is None or module.running_var is None or module.num_batches_tracked is None:
        return
    with torch.no_grad():
        module.num_batches_tracked += 1
        pace = 1.0 / float(module.num_batches_tracked) if module.momentum is None else module.momentum
        module.running_mean.lerp_(mean.to(module.running_mean.dtype), pace)
        module.running_var.lerp_((variance * total / (total - 1)).to(module.running_var.dtype), pace)
