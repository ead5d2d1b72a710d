"""Linear layers split by columns and by rows, Megatron's way: two sums over the processes there and two back for each block.

Parameters are DTensors, as torch's own styles make them; products are of plain local tensors. torch's `ColwiseParallel` sums once
for each of q, k and v on the way back, and wraps every product: an update over two processes took 1.6 times as long (tiny_lm, CPU).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.nn.functional import linear

from workbench.layout import _blocks

HIDDEN = "hidden_states"  # transformers' name of what goes into attention, where it is passed by name


def split(block: nn.Module, plan: _blocks.Plan, mesh: DeviceMesh) -> None:
    """Split the layers of a block over the one axis of `mesh`; every process keeps its parts of them."""
    group = mesh.get_group()
    for name in plan.columns:
        layer = block.get_submodule(name)
        _shard(layer, mesh, weight=Shard(0), bias=Shard(0))
        layer.forward = _by_columns(layer)
    for name in plan.rows:
        layer = block.get_submodule(name)
        _shard(layer, mesh, weight=Shard(1), bias=Replicate())
        layer.forward = _by_rows(layer, group)
    for entrance in _entrances(block, plan):
        entrance.register_forward_pre_hook(_entered(group), with_kwargs=True)


def _entrances(block: nn.Module, plan: _blocks.Plan) -> list[nn.Module]:
    """Return the modules whose input goes into split columns: one sum on the way back for all columns with the same input."""
    inside: dict[str, list[str]] = {}
    for name in plan.columns:
        inside.setdefault(name.rpartition(".")[0], []).append(name)
    return [block.get_submodule(parent if len(names) > 1 else names[0]) for parent, names in inside.items()]


def _shard(layer: nn.Module, mesh: DeviceMesh, **placements: Shard | Replicate) -> None:
    for name, placement in placements.items():
        whole = getattr(layer, name)
        if whole is not None:
            part = nn.Parameter(distribute_tensor(whole.data, mesh, [placement]), requires_grad=whole.requires_grad)
            setattr(layer, name, part)


def _by_columns(layer: Any) -> Callable[[Tensor], Tensor]:
    def forward(inputs: Tensor) -> Tensor:
        return linear(inputs, _own(layer.weight), None if layer.bias is None else _own(layer.bias))

    return forward


def _by_rows(layer: Any, group: dist.ProcessGroup) -> Callable[[Tensor], Tensor]:
    def forward(inputs: Tensor) -> Tensor:
        outputs: Tensor = _Sum.apply(linear(inputs, _own(layer.weight)), group)
        return outputs if layer.bias is None else outputs + _own(layer.bias).to(outputs.dtype)

    return forward


def _own(parameter: Tensor) -> Tensor:
    return parameter.to_local() if isinstance(parameter, DTensor) else parameter


def _entered(group: dist.ProcessGroup) -> Callable[..., tuple[tuple[Any, ...], dict[str, Any]]]:
    def enter(
        _module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if HIDDEN in named:
            return args, {**named, HIDDEN: _Same.apply(named[HIDDEN], group)}
        return (_Same.apply(args[0], group), *args[1:]), named

    return enter


class _Same(torch.autograd.Function):
    """What it is given; on the way back the sum of the processes' gradients, each of its own columns."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group = group
        return inputs.view_as(inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _summed(gradients[0], ctx.group), None


class _Sum(torch.autograd.Function):
    """The sum of the processes' products, each of its own rows; on the way back every process has the same gradient."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, group: dist.ProcessGroup) -> Tensor:
        return _summed(inputs, group)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def _summed(tensor: Tensor, group: dist.ProcessGroup) -> Tensor:
    found = tensor.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(found, group=group)
    return found
