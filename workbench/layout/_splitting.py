"""Puts one module, whole or a stage of it, on the axes of a mesh: tensor parallel inside, fully sharded around."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)

from workbench.extents import Extents
from workbench.layout import _blocks, _linear

AXES = ("pipeline", "replicate", "shard", "tensor")
WHOLE = MixedPrecisionPolicy()  # everything in the parameters' own precision


def mesh_of(extents: Extents, device_type: str) -> DeviceMesh:
    """Return the mesh of all processes: neighbours in rank differ in the tensor axis, which talks most."""
    sizes = (extents.pipeline, extents.replicate, extents.shard, extents.tensor)
    return init_device_mesh(device_type, sizes, mesh_dim_names=AXES)


def named_blocks(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """List the repeated blocks of a model by name; without any, the model's largest pieces."""
    places = [name for name, module in model.named_modules() if isinstance(module, nn.ModuleList) and len(module)]
    known = [name for name in places if name in _blocks.CUTTABLE] or places
    blocks = [(f"{name}.{key}", block) for name in known for key, block in model.get_submodule(name).named_children()]
    return [(name, block) for name, block in blocks if any(True for _ in block.parameters())]


def split_tensors(model: nn.Module, mesh: DeviceMesh, *, sequence_parallel: bool) -> None:
    """Split the linear layers of every block over the tensor axis, and with `sequence_parallel` the tokens between them."""
    blocks = named_blocks(model)
    for _, block in blocks:
        names = {name for name, _ in block.named_modules()}
        plan = next(plan for plan in _blocks.PLANS if names >= {*plan.columns, *plan.rows})
        if not sequence_parallel:
            _linear.split(block, plan, mesh)
            continue
        parallelize_module(block, mesh, _with_tokens_split(plan))
        _gather_for_attention(block.get_submodule(plan.columns[0].rpartition(".")[0]), mesh)
    if sequence_parallel and blocks:
        _cut_tokens(blocks[0][1], mesh)
        _join_tokens(blocks[-1][1], mesh)


def _with_tokens_split(plan: _blocks.Plan) -> dict[str, ParallelStyle]:
    attention = plan.columns[0].rpartition(".")[0]
    styles: dict[str, ParallelStyle] = {}
    for name in plan.columns:
        is_inside = name.rpartition(".")[0] == attention  # of what gets the tokens of all processes as one
        styles[name] = ColwiseParallel() if is_inside else ColwiseParallel(input_layouts=Shard(1))
    styles |= {name: RowwiseParallel(output_layouts=Shard(1)) for name in plan.rows}
    return styles | {name: SequenceParallel() for name in plan.norms}


def _gather_for_attention(attention: nn.Module, mesh: DeviceMesh) -> None:
    """Let attention see all tokens: it reads its number of tokens from its input's shape."""

    def whole(
        _module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if "hidden_states" in named:
            return args, {**named, "hidden_states": _tokens(named["hidden_states"], mesh)}
        return (_tokens(args[0], mesh), *args[1:]), named

    attention.register_forward_pre_hook(whole, with_kwargs=True)


def _tokens(hidden: Any, mesh: DeviceMesh) -> Any:
    """Return hidden states (batch, tokens, width), of which each process has some tokens, with all tokens on each."""
    spread = hidden if isinstance(hidden, DTensor) else DTensor.from_local(hidden, mesh, [Shard(1)], run_check=False)
    return spread.redistribute(mesh, [Replicate()])


def _cut_tokens(block: nn.Module, mesh: DeviceMesh) -> None:
    def cut(_module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        whole = DTensor.from_local(args[0], mesh, [Replicate()], run_check=False)
        return (whole.redistribute(mesh, [Shard(1)]).to_local(), *args[1:]), named

    block.register_forward_pre_hook(cut, with_kwargs=True)


def _join_tokens(block: nn.Module, mesh: DeviceMesh) -> None:
    def join(_module: nn.Module, _args: Any, hidden: Tensor) -> Tensor:
        return _tokens(hidden, mesh).to_local()

    block.register_forward_hook(join)


def shard_fully(
    module: nn.Module, blocks: list[nn.Module], mesh: DeviceMesh, extents: Extents, policy: MixedPrecisionPolicy = WHOLE
) -> None:
    """Shard parameters, gradients and optimizer state over the data axis: each block by itself, then what is left."""
    data = mesh["replicate", "shard"] if extents.replicate > 1 else mesh["shard"]
    keep = False if extents.pipeline > 1 else None  # parameters gathered, for the next microbatch; None: torch's way
    where = functools.partial(_cut_of_experts, num_shards=extents.shard)
    for block in blocks:
        fully_shard(block, mesh=data, reshard_after_forward=keep, mp_policy=policy, shard_placement_fn=where)
    fully_shard(module, mesh=data, reshard_after_forward=keep, mp_policy=policy, shard_placement_fn=where)


def _cut_of_experts(parameter: nn.Parameter, *, num_shards: int) -> Shard | None:
    """Cut matrices of fewer experts than shards (experts, outputs, inputs) within each: by experts some ranks would hold none."""
    if parameter.ndim != 3 or not 1 < parameter.shape[0] < num_shards:
        return None  # as torch does it, along the first axis; also tokens and positions (1, tokens, width)
    return next((Shard(axis) for axis in (1, 2) if parameter.shape[axis] % num_shards == 0), None)


def local(tensor: Tensor) -> Tensor:
    """Return this process's part of a tensor, sharing its memory."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def summed(tensor: Tensor) -> Tensor:
    """Return a tensor of which no process holds a mere summand."""
    if not isinstance(tensor, DTensor) or not any(placement.is_partial() for placement in tensor.placements):
        return tensor
    return tensor.redistribute(placements=[Replicate() if each.is_partial() else each for each in tensor.placements])


def split_axes(tensor: Tensor) -> Iterator[Any]:
    """Yield the group of every axis along which each process has another part of a tensor."""
    if isinstance(tensor, DTensor):
        for axis, placement in enumerate(tensor.placements):
            assert not placement.is_partial()
            if not placement.is_replicate():  # a shard, or one strided by another axis, which is no kind of shard
                yield tensor.device_mesh.get_group(axis)
