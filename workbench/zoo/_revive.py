"""Turns an exported program back into a module: one that trains, pickles and shows its layers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from torch import fx, nn

from workbench.errors import ArtifactError

aten = torch.ops.aten
LAYERS = {aten.linear.default: nn.Linear, aten.conv1d.default: nn.Conv1d, aten.conv2d.default: nn.Conv2d}
CONV_OPTIONS = ("stride", "padding", "dilation", "groups")  # arguments after input, weight and bias


def revive(path: Path) -> fx.GraphModule:
    """Load a .pt2 file as a GraphModule whose linear and convolution layers are modules again.

    Dropout stays off and batch statistics stay fixed, as they were when the program was exported. Raises ArtifactError.
    """
    try:
        exported = torch.export.load(str(path)).module()
    except (RuntimeError, OSError, ValueError, KeyError, BadZipFile) as error:
        raise ArtifactError(f"{path} can't be opened as an exported program: {error}") from error
    graph = fx.Graph()
    outputs = graph.graph_copy(exported.graph, {})
    graph.output(outputs[0] if isinstance(outputs, tuple | list) else outputs)
    for node in list(graph.nodes):
        if node.op == "call_module":  # the check of input shapes; the card says them
            graph.erase_node(node)
    root = _plain(exported)
    shared = {weight for weight, uses in _uses(graph).items() if uses > 1}
    for node in list(graph.nodes):
        if node.op == "call_function" and node.target in LAYERS:
            _as_module(node, root, shared)
    for node in reversed(list(graph.nodes)):
        if node.op == "get_attr" and not node.users:
            graph.erase_node(node)
    return fx.GraphModule(root, graph)


def _plain(exported: nn.Module) -> nn.Module:
    """Return the tree of parameters and buffers without the exporter's own hooks."""
    root = nn.Module()
    for name, parameter in exported.named_parameters(remove_duplicate=False):
        _parent(root, name).register_parameter(name.rpartition(".")[2], parameter)
    for name, buffer in exported.named_buffers(remove_duplicate=False):
        _parent(root, name).register_buffer(name.rpartition(".")[2], buffer)
    for name, module in exported.named_children():
        if isinstance(module, fx.GraphModule):  # a region that the exporter kept apart, such as one without gradients
            root.add_module(name, module)
    return root


def _parent(root: nn.Module, name: str) -> nn.Module:
    for piece in name.split(".")[:-1]:
        if piece not in root._modules:
            root.add_module(piece, nn.Module())
        root = root.get_submodule(piece)
    return root


def _uses(graph: fx.Graph) -> Counter[Any]:
    """Count how often each parameter is read."""
    uses: Counter[Any] = Counter()
    for node in graph.nodes:
        if node.op == "get_attr":
            uses[node.target] += len(node.users)
    return uses


def _as_module(node: fx.Node, root: nn.Module, shared: set[Any]) -> None:
    """Replace a functional layer by a module at the place of its weight, where nothing else lies there."""
    arguments: Any = node.args
    has_bias = len(arguments) > 2 and arguments[2] is not None
    if arguments[1].op != "get_attr" or arguments[1].target in shared:
        return
    place, _, own = arguments[1].target.rpartition(".")
    holder = root.get_submodule(place)
    expected = {"weight", "bias"} if has_bias else {"weight"}
    if not place or own != "weight" or set(holder._parameters) != expected or holder._modules or holder._buffers:
        return
    module = _layer(node, holder.weight, has_bias)
    module._parameters.update(holder._parameters)
    parent, _, name = place.rpartition(".")
    root.get_submodule(parent).add_module(name, module)
    with node.graph.inserting_before(node):
        called = node.graph.call_module(place, (node.args[0],))
    called.meta = dict(node.meta)
    node.replace_all_uses_with(called)
    node.graph.erase_node(node)


def _layer(node: fx.Node, weight: Any, has_bias: bool) -> nn.Module:
    kind = LAYERS[node.target]  # type: ignore[index]
    if kind is nn.Linear:
        return nn.Linear(weight.shape[1], weight.shape[0], bias=has_bias, device="meta")
    options: dict[str, Any] = dict(zip(CONV_OPTIONS, node.args[3:]))
    num_inputs, kernel = weight.shape[1] * options.get("groups", 1), tuple(weight.shape[2:])
    return kind(num_inputs, weight.shape[0], kernel, bias=has_bias, device="meta", **options)
