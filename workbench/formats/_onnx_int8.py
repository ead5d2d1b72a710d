"""Lowers recorded int8 (and static int4) quantization onto an ONNX graph with ONNX Runtime's quantizers."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.formats import _onnx_weights
from workbench.formats._export import hushed
from workbench.nouns import Examples, Quantization
from workbench.part import SaveContext

if TYPE_CHECKING:
    import numpy as np

METHODS = {
    "minmax": "MinMax",
    "percentile": "Percentile",
    "entropy": "Entropy",
    "mse": "MinMax",
}  # of what steps leave open
CALIBRATION_BATCH = 32
KEEPS_RANGE = ("MaxPool", "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze")  # output is quantized as the input


def lower(path: Path, ctx: SaveContext) -> None:
    """Rewrite the graph at `path` with int8 weights for the recorded layers, in place."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    float_path = path.with_name("float.onnx")
    named_path = path.with_name("named.onnx")
    path.rename(named_path)
    try:
        with _quiet():
            quant_pre_process(str(named_path), str(float_path), skip_symbolic_shape=True)
            nodes = _nodes_of(named_path, float_path, ctx.quantization)
            first = next(iter(ctx.quantization.values()))
            if first.scheme == "dynamic":
                _dynamic(float_path, path, nodes, first)
            else:
                _static(float_path, path, nodes, ctx)
        _check_integers(path, float_path, nodes, first.weights)
    finally:
        float_path.unlink(missing_ok=True)
        named_path.unlink(missing_ok=True)


def _dynamic(source: Path, target: Path, nodes: Mapping[str, str], how: Quantization) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    split = [f"{name}_MatMul" for name in nodes]  # the quantizer first turns each Gemm into MatMul and Add
    quantize_dynamic(
        str(source), str(target), nodes_to_quantize=[*nodes, *split], op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=how.granularity == "channel", weight_type=QuantType.QInt8,
    )  # fmt: skip


def _static(source: Path, target: Path, nodes: Mapping[str, str], ctx: SaveContext) -> None:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    how = next(iter(ctx.quantization.values()))
    quantize_static(
        str(source), str(target), _reader(ctx.calibration, how.num_calibration), quant_format=QuantFormat.QDQ,
        nodes_to_quantize=[*nodes, *_nodes_between(source, nodes)], per_channel=how.granularity == "channel",
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt4 if how.weights == "int4" else QuantType.QInt8,
        calibrate_method=getattr(CalibrationMethod, METHODS[how.calibration]),
        extra_options={"TensorQuantOverrides": _ranges(source, nodes, ctx.quantization) | _narrow(source, nodes, how)},
    )  # fmt: skip


def _ranges(path: Path, nodes: Mapping[str, str], quantization: Mapping[str, Quantization]) -> dict[str, Any]:
    """Return by tensor the ends that a step has found for outputs of its layers, and for inputs back to where they are made.

    A tensor that several layers read gets the widest.
    """
    import numpy as np
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    producers = {output: node for node in graph.node for output in node.output}
    ends: dict[str, tuple[float, float]] = {}

    def widen(name: str, found: tuple[float, float] | None) -> None:
        if found:
            low, high = ends.get(name, found)
            ends[name] = (min(low, found[0]), max(high, found[1]))

    for node in graph.node:
        if node.name not in nodes:
            continue
        how, name = quantization[nodes[node.name]], node.input[0]
        widen(node.output[0], how.output_range)
        while name:
            widen(name, how.input_range)
            before = producers.get(name)
            name = before.input[0] if before is not None and before.op_type in KEEPS_RANGE else ""
    return {name: [{"rmin": np.float32(low), "rmax": np.float32(high)}] for name, (low, high) in ends.items()}


def _narrow(path: Path, nodes: Mapping[str, str], how: Quantization) -> dict[str, Any]:
    """Return by int4 weight the ends for which the largest is a 7, as the step has rounded it: left alone it is a 7.5."""
    import numpy as np
    import onnx
    from onnx import numpy_helper

    found: dict[str, Any] = {}
    if how.weights != "int4":
        return found
    graph = onnx.load(str(path)).graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.name in nodes:
            array = numpy_helper.to_array(weights[node.input[1]])
            axis = 0 if node.op_type == "Conv" or _onnx_weights.reads_rows(node) else array.ndim - 1
            others = tuple(each for each in range(array.ndim) if each != axis or how.granularity == "tensor")
            ends = np.atleast_1d(np.abs(array).max(axis=others) * np.float32(7.5 / 7))
            place = {"axis": axis} if how.granularity == "channel" else {}
            found[node.input[1]] = [{"rmin": -end, "rmax": end, **place} for end in ends]
    return found


def _check_integers(path: Path, before: Path, nodes: Mapping[str, str], dtype: str) -> None:
    """Raise when fewer weights became integers than were asked for: the quantizers skip in silence what they can't do.

    Nodes that read one weight (a layer that is called twice) count once.
    """
    import onnx

    wanted = {
        node.input[1] for node in onnx.load(str(before), load_external_data=False).graph.node if node.name in nodes
    }
    kind = onnx.TensorProto.INT4 if dtype == "int4" else onnx.TensorProto.INT8
    graph = onnx.load(str(path)).graph
    num_found = sum(tensor.data_type == kind and len(tensor.dims) >= 2 for tensor in graph.initializer)
    if num_found < len(wanted):
        raise WorkbenchError(
            f"ONNX Runtime made {num_found} of {len(wanted)} layers {dtype}", next_move="name the others in skip"
        )


def _nodes_of(exported: Path, optimised: Path, quantization: Mapping[str, Quantization]) -> dict[str, str]:
    """Return by name of the graph nodes that compute the recorded layers, and are still there after optimising, the layer.

    The exporter keeps each node's module path in its metadata; optimising drops that, and keeps the nodes' names.
    """
    import onnx

    graph = onnx.load(str(exported), load_external_data=False).graph
    kept = {node.name for node in onnx.load(str(optimised), load_external_data=False).graph.node}
    initializers = {tensor.name for tensor in graph.initializer}
    found: dict[str, list[str]] = {name: [] for name in quantization}
    for node in graph.node:
        weighted = node.op_type in _onnx_weights.WEIGHTED_OPS and any(name in initializers for name in node.input)
        if weighted and node.name in kept:
            layer = next((layer for layer in _layer_names(node) if layer in found), None)
            if layer is not None:
                found[layer].append(node.name)
    absent = [layer for layer, nodes in found.items() if not nodes]
    if absent:
        raise WorkbenchError(
            f"no ONNX node found for the layers {', '.join(absent[:5])}{' …' if len(absent) > 5 else ''}",
            next_move="name them in skip, or choose another format",
        )
    return {name: layer for layer, nodes in found.items() for name in nodes}


def _layer_names(node: Any) -> Iterator[str]:
    """Yield candidate module names of a node, innermost first."""
    yield from _onnx_weights.scopes_of(node)
    for name in node.input[1:2]:
        yield _onnx_weights.layer_of(name)


def _nodes_between(path: Path, nodes: Iterable[str]) -> list[str]:
    """Return activation and pooling nodes that follow a chosen node, so that numbers stay integers between layers."""
    import onnx

    graph = onnx.load(str(path)).graph
    through = {"Relu", "MaxPool", "Clip", "Flatten", "Reshape", "Add", "GlobalAveragePool", "AveragePool", "ReduceMean"}
    chosen = set(nodes)
    producers = {output: node for node in graph.node for output in node.output}
    between = []
    for node in graph.node:
        sources = [producers[name] for name in node.input if name in producers]
        if node.op_type in through and sources and all(source.name in chosen for source in sources):
            chosen.add(node.name)
            between.append(node.name)
    return between


def _reader(calibration: Examples, num_examples: int) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches = _batches(calibration, num_examples)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.batches, None)

    return Reader()


def _batches(calibration: Examples, num_examples: int) -> Iterator[dict[str, np.ndarray]]:
    """Yield batches of one size, which calibrating by histograms needs: the largest that divides the number of examples."""
    count = min(num_examples, len(calibration))
    size = max(each for each in range(1, CALIBRATION_BATCH + 1) if count % each == 0)
    for start in range(0, count, size):
        yield dict(calibration.take(slice(start, start + size)).inputs)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hush the quantizers: their advice is followed here, so it would only alarm people."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with hushed(), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)
