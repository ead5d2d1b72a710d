"""Which tensors of an ONNX graph are the weights of which layer, and what they hold."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.formats import _stored
from workbench.nouns import StoredWeight

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

WEIGHT = ".weight"
FLOAT8 = "_float8"  # as `_onnx_float8` marks numbers of 8 bits
TURNED = "_Transposed"  # as ONNX Runtime's quantizer marks weights that it turns for a MatMul
INTEGERS = "_quantized"
PACKED = "_packed"  # as `_onnx_packed` marks integers of a few bits
FEW_BITS = (1, 2)
WEIGHTED_OPS = ("MatMul", "Gemm", "Conv")


def name_after_layers(path: Path, model: nn.Module) -> None:
    """Call weights that lost their layer's name by it again: the exporter folds a linear layer's transposition away."""
    import onnx

    whole = onnx.load(str(path), load_external_data=False)
    renamed = _new_names(whole.graph, model)
    for tensor in whole.graph.initializer:
        tensor.name = renamed.get(tensor.name, tensor.name)
    for node in whole.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)
    path.write_bytes(whole.SerializeToString())


def _new_names(graph: Any, model: nn.Module) -> dict[str, str]:
    """Return new by old name, for tensors shaped as the weight of the layer whose node reads them."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    layers, renamed = _weighted(model), dict[str, str]()
    for node in graph.node:
        old = node.input[1] if node.op_type in WEIGHTED_OPS else ""
        layer = next((scope for scope in scopes_of(node) if scope in layers), None)
        if old not in shapes or old in renamed or old.endswith(WEIGHT) or layer is None:
            continue
        shape, rows_are_outputs = layers[layer]
        is_turned = rows_are_outputs and not reads_rows(node)
        new = layer + WEIGHT + (TURNED if is_turned else "")
        if shapes[old] == (shape[::-1] if is_turned else shape) and new not in {*shapes, *renamed.values()}:
            renamed[old] = new
    return renamed


def _weighted(model: nn.Module) -> dict[str, tuple[tuple[int, ...], bool]]:
    """Return (shape, whether its rows are outputs) of each weight matrix: Linear's are, those of transformers' Conv1D aren't."""
    from torch import nn

    weights = {name: (module, module._parameters.get("weight")) for name, module in model.named_modules()}
    return {
        name: (tuple(weight.shape), isinstance(module, nn.Linear))
        for name, (module, weight) in weights.items()
        if weight is not None and weight.ndim >= 2
    }


def reads_rows(node: Any) -> bool:
    """Say whether a Gemm takes its weight as (out, in)."""
    return any(each.name == "transB" and each.i for each in node.attribute)


def scopes_of(node: Any) -> Iterator[str]:
    """Yield the module path of a freshly exported node, innermost first."""
    for entry in node.metadata_props:
        if entry.key == "pkg.torch.onnx.name_scopes":
            yield from reversed([scope for scope in ast.literal_eval(entry.value) if scope])


def computed(
    path: Path, layers: Collection[str], make: Callable[[str, np.ndarray], tuple[list[Any], dict[str, np.ndarray]]]
) -> None:
    """Let nodes compute the weights of these layers from other constants, in place; runtimes fold them while loading.

    `make` gets a tensor's name and values, and returns nodes whose last output has that name, and their constants by name.
    """
    import onnx
    from onnx import numpy_helper

    whole = onnx.load(str(path))
    graph = whole.graph
    found = {layer_of(tensor.name): tensor for tensor in graph.initializer if _is_float_weight(tensor)}
    if absent := [layer for layer in layers if layer not in found]:
        raise WorkbenchError(
            f"the exported graph has no weight of {', '.join(absent[:5])}",
            next_move="name it in skip, or choose format pt2",
        )
    nodes, tensors, gone = list[Any](), dict[str, Any](), {found[layer].name for layer in layers}
    for layer in layers:
        made, constants = make(found[layer].name, numpy_helper.to_array(found[layer]))
        nodes, tensors = nodes + made, tensors | constants
    kept_tensors = [tensor for tensor in graph.initializer if tensor.name not in gone]
    kept_nodes = list(graph.node)
    del graph.node[:], graph.initializer[:]
    graph.node.extend([*nodes, *kept_nodes])
    graph.initializer.extend([*kept_tensors, *(numpy_helper.from_array(each, name) for name, each in tensors.items())])
    path.write_bytes(whole.SerializeToString())
    path.with_name(f"{path.name}.data").unlink(missing_ok=True)  # all weights are inside now


def _is_float_weight(tensor: Any) -> bool:
    return tensor.data_type == 1 and tensor.name.removesuffix(TURNED).endswith(WEIGHT)


def few_bits(bits: int) -> str:
    """Return how `_onnx_signs` marks integers of one or two bits."""
    return f"_int{bits}"


def layer_of(tensor: str) -> str:
    """Return the layer whose weight a tensor is, by its name."""
    for bits in FEW_BITS:
        tensor = tensor.removesuffix(few_bits(bits))
    for mark in (PACKED, INTEGERS, FLOAT8, TURNED, WEIGHT):
        tensor = tensor.removesuffix(mark)
    return tensor


def stored(path: Path) -> dict[str, StoredWeight]:
    """Return every weight in the file; integers are multiplied by their scales."""
    import onnx
    from onnx import numpy_helper

    from workbench.formats import _onnx_float8, _onnx_packed, _onnx_signs

    graph = onnx.load(str(path)).graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    axes = {
        node.input[0]: next((each.i for each in node.attribute if each.name == "axis"), 1)
        for node in graph.node
        if node.op_type == "DequantizeLinear"
    }
    packed = _onnx_packed.stored(graph) | _onnx_signs.stored(graph) | _onnx_float8.stored(graph)
    found = {layer_of(name): weight for name, weight in packed.items()}
    for name, tensor in tensors.items():
        base = name.removesuffix(INTEGERS)
        if not base.removesuffix(TURNED).endswith(WEIGHT):
            continue
        array = numpy_helper.to_array(tensor)
        beside = [numpy_helper.to_array(tensors[each]) for each in _beside(base) if each in tensors]
        values = array if base == name else _dequantized(array, *beside, axis=axes.get(name, array.ndim - 1))
        num_bytes = sum(map(_stored.num_bytes, [array] if base == name else [array, *beside]))
        turned = values.T if base.endswith(TURNED) else values
        found[layer_of(name)] = StoredWeight(turned.astype("float32"), str(array.dtype), num_bytes)
    return found


def _beside(base: str) -> tuple[str, str]:
    return f"{base}_scale", f"{base}_zero_point"


def _dequantized(array: np.ndarray, scale: np.ndarray, zero: np.ndarray, *, axis: int) -> np.ndarray:
    """Return (q − zero point) · scale, one scale per slice along `axis` or one for all."""
    shape = [1] * array.ndim
    if scale.size > 1:
        shape[axis] = scale.size
    return (array.astype("float32") - zero.astype("float32").reshape(shape)) * scale.reshape(shape)
