"""Lowers weight-only grids onto ONNX Runtime's MatMulNBits: the step's own integers, scales and zero points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.formats import _onnx_weights, _packed
from workbench.nouns import Quantization, StoredWeight

OP, DOMAIN = "MatMulNBits", "com.microsoft"
IN_FLOAT32 = 1  # accuracy_level: activations are not quantized


def lower(path: Path, quantization: Mapping[str, Quantization]) -> None:
    """Replace the float weight of each recorded layer by packed integers, in place."""
    import onnx

    whole = onnx.load(str(path))
    graph = whole.graph
    weights = {
        tensor.name: layer
        for tensor in graph.initializer
        if (layer := _onnx_weights.layer_of(tensor.name)) in quantization
    }
    nodes = [_lowered(node, weights, quantization) for node in graph.node]
    done = {weights[old.input[1]] for old, new in zip(graph.node, nodes) if new is not old}
    if absent := [layer for layer in quantization if layer not in done]:
        raise WorkbenchError(
            f"no ONNX node found for the layers {', '.join(absent[:5])}{' …' if len(absent) > 5 else ''}",
            next_move="name them in skip, or choose another format",
        )
    kept = [tensor for tensor in graph.initializer if tensor.name not in weights]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*kept, *(tensor for layer in done for tensor in _tensors(layer, quantization[layer]))])
    whole.opset_import.append(onnx.helper.make_opsetid(DOMAIN, 1))
    path.write_bytes(whole.SerializeToString())
    path.with_name(f"{path.name}.data").unlink(missing_ok=True)  # all weights are inside now


def _lowered(node: Any, weights: Mapping[str, str], quantization: Mapping[str, Quantization]) -> Any:
    """Return MatMulNBits for a node that multiplies by one of `weights`, any other node itself."""
    import onnx

    layer = weights.get(node.input[1]) if node.op_type in ("MatMul", "Gemm") and len(node.input) > 1 else None
    if layer is None:
        return node
    how, base = quantization[layer], layer + _onnx_weights.WEIGHT
    packed = _packed.pack(how)
    inputs = [node.input[0], base + _onnx_weights.PACKED, f"{base}_scale"]
    inputs += ["" if packed.zeros is None else f"{base}_zero_point", "", *node.input[2:]]  # the gap: no group index
    while not inputs[-1]:
        inputs.pop()
    made = onnx.helper.make_node(
        OP, inputs, list(node.output), name=node.name, domain=DOMAIN, K=packed.num_inputs, N=len(packed.scales),
        bits=packed.bits, block_size=packed.block, accuracy_level=IN_FLOAT32,
    )  # fmt: skip
    made.metadata_props.extend(node.metadata_props)
    return made


def _tensors(layer: str, how: Quantization) -> Iterator[Any]:
    from onnx import numpy_helper

    packed, base = _packed.pack(how), layer + _onnx_weights.WEIGHT
    yield numpy_helper.from_array(packed.integers, base + _onnx_weights.PACKED)
    yield numpy_helper.from_array(packed.scales, f"{base}_scale")
    if packed.zeros is not None:
        yield numpy_helper.from_array(packed.zeros, f"{base}_zero_point")


def stored(graph: Any) -> dict[str, StoredWeight]:
    """Return what the packed initializers of a graph stand for, by the initializer's name."""
    from onnx import helper, numpy_helper

    tensors = {tensor.name: tensor for tensor in graph.initializer}
    found = {}
    for node in graph.node:
        if node.op_type == OP and node.domain == DOMAIN:
            about = {each.name: helper.get_attribute_value(each) for each in node.attribute}
            integers, scales = (numpy_helper.to_array(tensors[name]) for name in node.input[1:3])
            zeros = numpy_helper.to_array(tensors[node.input[3]]) if len(node.input) > 3 and node.input[3] else None
            found[node.input[1]] = _packed.stored(_packed.Packed(about["bits"], about["K"], integers, scales, zeros))
    return found
