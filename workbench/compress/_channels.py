"""Which channels of a network can only be removed together, which may be removed at all, and what the card becomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench import machine

if TYPE_CHECKING:
    from torch import Tensor, nn

ATTENTION = ("scaleddot", "softmax", "bmm")  # pieces of autograd names: a head's width can't be cut channel by channel


def block_of_this_machine() -> int:
    """Return how many channels the convolution kernels here work on at a time.

    ONNX Runtime lays channels out in blocks of 16 with AVX-512 and of 8 otherwise (`MlasNchwcGetBlockSize`); oneDNN, which
    torch and OpenVINO use, blocks alike.
    """
    return 16 if "avx512f" in machine.facts()["isa"] else 8


def kept_width(width: int, ratio: float, round_to: int) -> int:
    """Return how many of `width` channels stay: the nearest multiple of `round_to`, at least one multiple of it.

    Layers of at most `round_to` channels stay whole: a runtime that works in such blocks would gain nothing.
    """
    if width <= round_to:
        return width
    wanted = int(width * (1 - ratio) / round_to + 0.5) * round_to
    return min(max(wanted, round_to), width)


def convert_conv1d(model: nn.Module) -> int:
    """Replace GPT-2's transposed `Conv1D` layers by equal `Linear` ones in place; returns how many.

    torch-pruning doesn't know Conv1D and would prune nothing, silently.
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    found = [(name, module) for name, module in model.named_modules() if isinstance(module, Conv1D)]
    for name, module in found:
        linear = torch.nn.Linear(module.weight.shape[0], module.weight.shape[1], device=module.weight.device)
        linear.weight.data = module.weight.data.T.contiguous()
        linear.bias.data = module.bias.data
        model.set_submodule(name, linear)
    return len(found)


def dependency_graph(model: nn.Module, inputs: Mapping[str, Tensor]) -> Any:
    """Trace the model once (eval mode) and return torch-pruning's graph of which layers' widths hang together."""
    import torch_pruning

    for parameter in model.parameters():
        parameter.requires_grad_(True)  # the trace follows autograd: a frozen layer would be invisible
    return torch_pruning.DependencyGraph().build_dependency(model, example_inputs=dict(inputs), verbose=False)


def removable_groups(graph: Any, skip: Sequence[nn.Module]) -> Iterator[Any]:
    """Yield the groups of coupled channels that may be removed (each lists layers with all their channel indices).

    Left alone: the model's outputs, layers in `skip` from either side, attention heads, and the residual stream of
    transformers (embeddings, bare parameters).
    """
    from torch_pruning.ops import OPTYPE

    has_attention = any(_is_attention(node) for node in graph.module2node.values())
    seen: set[Any] = set()
    for root in list(graph.module2node.values()):
        if root.type not in (OPTYPE.CONV, OPTYPE.LINEAR) or root in seen:
            continue
        coupled = _coupled(graph, root)
        seen.update(node for node, cut in coupled if graph.is_out_channel_pruning_fn(cut))
        if all(_may_shrink(node, graph.is_out_channel_pruning_fn(cut), skip, has_attention) for node, cut in coupled):
            pruner = graph.get_pruner_of_module(root.module)
            yield graph.get_pruning_group(
                root.module, pruner.prune_out_channels, range(pruner.get_out_channels(root.module))
            )


def _coupled(graph: Any, root: Any) -> set[tuple[Any, Any]]:
    """Return the (node, how it is cut) pairs that lose channels when `root` loses outputs.

    torch-pruning's own walk also follows channel indices, and does not end in reasonable time on rotary attention; so
    ask it only about groups that this cheap walk has cleared.
    """
    first = (root, graph.get_pruner_of_module(root.module).prune_out_channels)
    found, open_ends = {first}, [first]
    while open_ends:
        node, cut = open_ends.pop()
        for dependency in node.dependencies:
            pair = (dependency.target, dependency.handler)
            if dependency.is_triggered_by(cut) and pair not in found:
                found.add(pair)
                open_ends.append(pair)
    return found


def _is_attention(node: Any) -> bool:
    name = str(node.grad_fn.name()).lower() if hasattr(node.grad_fn, "name") else ""
    return any(piece in name for piece in ATTENTION) or type(node.module).__name__ == "MultiheadAttention"


def _may_shrink(node: Any, cuts_outputs: bool, skip: Sequence[nn.Module], has_attention: bool) -> bool:
    """Say whether the layer or operation at `node` survives with fewer channels."""
    from torch_pruning.ops import OPTYPE

    plain = {OPTYPE.CONV, OPTYPE.DEPTHWISE_CONV, OPTYPE.LINEAR, OPTYPE.BN, OPTYPE.PRELU}
    plain |= {OPTYPE.ELEMENTWISE, OPTYPE.RESHAPE, OPTYPE.CONCAT, OPTYPE.SPLIT}
    if not has_attention:
        plain.add(OPTYPE.LN)  # beside attention a layer norm means the residual stream
    is_output = cuts_outputs and not node.outputs
    is_grouped = node.type == OPTYPE.CONV and node.module.groups != 1
    is_skipped = any(node.module is layer for layer in skip)
    return node.type in plain and not (is_output or is_grouped or is_skipped or _is_attention(node))


def consumers(graph: Any, group: Any) -> Iterator[tuple[Any, list[int], list[int]]]:
    """Yield (layer, its inputs, the channel of the group that each belongs to) of the layers that read a group's channels."""
    from torch import nn

    for place, (dependency, inputs) in enumerate(group):
        is_input = not graph.is_out_channel_pruning_fn(dependency.handler)
        if is_input and isinstance(dependency.layer, nn.Linear | nn.Conv2d):
            yield dependency.layer, list(inputs), list(group[place].root_idxs)


def lowest(scores: Tensor, num: int) -> list[int]:
    """Return the positions of the `num` lowest scores; ties go to the earlier position."""
    import torch

    return sorted(torch.argsort(scores, stable=True)[:num].tolist())
