"""Reads, lowers and looks into OpenVINO graphs. A product or convolution is called after the weight that it reads."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.formats import _onnx_weights, _packed, _stored
from workbench.nouns import Quantization, StoredWeight
from workbench.part import SaveContext

if TYPE_CHECKING:
    import numpy as np

WEIGHTED = {"MatMul": 1, "Convolution": 1, "GroupConvolution": 1, "Gather": 0}  # kind → its input that is a weight
SMOOTHED = (
    "nncf_smooth_quant"  # in the name of the factor that NNCF puts before a product, its inverse being in the weight
)
ATTENTION = ("attn", "attention")  # in a layer's name: NNCF's plan for transformers fits
PARAMETERS = (
    "float32",
    "bfloat16",
    "int8",
    "uint8",
    "int4",
)  # what is stored of a model; the rest are shapes and indices
PART = "/product"  # behind the weight's name in that of its node


def read(path: Path) -> Any:
    """Return the graph of an ONNX file whose weights are called after their layers; its nodes get their names.

    Each pair of ONNX's quantizing and dequantizing nodes becomes one FakeQuantize, which is half the file.
    """
    import openvino
    from openvino._offline_transformations import apply_moc_transformations

    graph = openvino.Core().read_model(path)
    if any(node.get_type_name() == "FakeQuantize" for node in graph.get_ops()):
        apply_moc_transformations(graph, False)
    for node, weight in _weighted(graph):
        name = weight.get_friendly_name().removesuffix(_onnx_weights.INTEGERS)
        if name.removesuffix(_onnx_weights.TURNED).endswith(_onnx_weights.WEIGHT):
            node.set_friendly_name(name + PART)
    return graph


def has_ranges(quantization: Mapping[str, Quantization]) -> bool:
    """Say whether a step found the inputs' ranges itself, which NNCF would find anew: they are kept by way of ONNX."""
    return any(how.scheme == "static" and (how.input_range or how.weights == "int4") for how in quantization.values())


def write(graph: Any, path: Path) -> None:
    """Save as it is: no float16, and without the notes of the tools that made it."""
    import openvino

    for node in (graph, *graph.get_ops()):
        for name in list(node.get_rt_info()):
            del node.get_rt_info()[name]
    openvino.save_model(graph, str(path), compress_to_fp16=False)


def compiled(xml: Path | bytes, weights: Path | bytes, *, threads: int) -> Any:
    """Compile files or their content for this processor: one stream, the precision that the file says and no other."""
    import openvino

    core = openvino.Core()
    graph = core.read_model(xml, weights)
    hint = "bf16" if any(each.dtype == "bfloat16" for each in _stored_in(graph).values()) else "f32"
    return core.compile_model(
        graph, "CPU", {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": hint}
    )


def lowered(graph: Any, ctx: SaveContext) -> Any:
    """Return the graph with the recorded layers in bfloat16 or int8; raises WorkbenchError when one isn't there."""
    if not ctx.quantization:
        return graph
    layers = {_layer(node): node for node, _ in _weighted(graph)}
    if absent := sorted(set(ctx.quantization) - set(layers)):
        raise WorkbenchError(
            f"no OpenVINO node found for the layers {', '.join(absent[:5])}",
            next_move="name them in skip, or choose another format",
        )
    if next(iter(ctx.quantization.values())).scheme == "cast":
        return _in_bfloat16(graph, ctx.quantization)
    return _in_int8(graph, ctx)


def stored(path: Path) -> dict[str, StoredWeight]:
    """Return every layer's weight in the file; integers are multiplied by their scales."""
    import openvino

    return _stored_in(openvino.Core().read_model(path))


def summary(path: Path, quantization: Mapping[str, Quantization]) -> dict[str, Any]:
    """Summarise the numbers in the file that are parameters: of floating type or int8, more than one."""
    import numpy as np
    import openvino

    rows = []
    for node in openvino.Core().read_model(path).get_ordered_ops():
        if node.get_type_name() != "Constant" or _dtype(node) not in PARAMETERS:
            continue
        array = _numbers(node)
        if array.size > 1 and not _is_scale(node):
            kind = _dtype(node)
            rows.append((kind, array.size, int(np.count_nonzero(array)), node.get_byte_size() / array.size, array.ndim))
    scheme = next((each.scheme for each in quantization.values()), "")
    kinds = sorted({each.activations for each in quantization.values()})
    return _stored.summary(rows, activations=f"{' and '.join(kinds)} {scheme}".strip())


def _in_bfloat16(graph: Any, quantization: Mapping[str, Quantization]) -> Any:
    import numpy as np
    import openvino
    import torch
    from openvino import opset15

    for node, weight in list(_weighted(graph)):
        if _layer(node) not in quantization:
            continue
        rounded = torch.from_numpy(np.array(weight.data)).bfloat16().view(torch.uint16).numpy()
        numbers = openvino.Tensor(openvino.Type.bf16, openvino.Shape(list(weight.shape)))
        numbers.data.view(np.uint16)[...] = rounded
        constant = openvino.op.Constant(numbers)
        constant.set_friendly_name(weight.get_friendly_name())
        node.input(WEIGHTED[node.get_type_name()]).replace_source_output(opset15.convert(constant, "f32").output(0))
    return graph


def _in_int8(graph: Any, ctx: SaveContext) -> Any:
    import nncf

    first = next(iter(ctx.quantization.values()))
    left_out = [node.get_friendly_name() for node, _ in _weighted(graph) if _layer(node) not in ctx.quantization]
    count = min(first.num_calibration, len(ctx.calibration))
    batches = [dict(ctx.calibration.take(slice(index, index + 1)).inputs) for index in range(count)]
    is_transformer = any(word in name for name in ctx.quantization for word in ATTENTION)
    with _quiet():
        return nncf.quantize(
            graph, nncf.Dataset(batches), subset_size=count, preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER if is_transformer else None,
            ignored_scope=nncf.IgnoredScope(names=left_out) if left_out else None,
            advanced_parameters=_advanced(first),
        )  # fmt: skip


def _advanced(how: Quantization) -> Any:
    """Return NNCF's settings for how the step wants ranges found."""
    import nncf
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet as Ranges

    found = {"minmax": Ranges.MINMAX, "percentile": Ranges.MEAN_QUANTILE}
    if how.calibration not in found:
        raise WorkbenchError(
            f"NNCF has no calibration by {how.calibration}", next_move="calibration=minmax, or choose format onnx"
        )
    per_channel = how.granularity == "channel"
    weights = nncf.quantization.advanced_parameters.QuantizationParameters(per_channel=per_channel)
    return nncf.AdvancedQuantizationParameters(
        weights_quantization_params=weights, activations_range_estimator_params=found[how.calibration],
        disable_bias_correction=how.bias_corrected,
    )  # fmt: skip


def _weighted(graph: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (node, constant) of each product and convolution that reads a stored matrix, through casts and scales."""
    for node in graph.get_ordered_ops():
        if node.get_type_name() not in WEIGHTED:
            continue
        source = _source(node)
        while source.get_type_name() in ("Multiply", "Subtract", "Convert", "FakeQuantize", "Reshape"):
            source = _input(source, 0)
        if source.get_type_name() == "Constant" and len(source.shape) >= 2:
            yield node, source


def _layer(node: Any) -> str:
    return _onnx_weights.layer_of(node.get_friendly_name().removesuffix(PART))


def _stored_in(graph: Any) -> dict[str, StoredWeight]:
    found = {}
    for node, constant in _weighted(graph):
        name = node.get_friendly_name()
        if not name.endswith(PART):
            continue
        values, num_bytes = _numbers(constant).astype("float32"), constant.get_byte_size()
        scale = _scale_of(node)
        if scale is not None:
            values, num_bytes = values * scale, num_bytes + scale.nbytes
        if (factor := _smoothing_of(node)) is not None:
            values = values * (factor if name.removesuffix(PART).endswith(_onnx_weights.TURNED) else factor.T).astype(
                "float32"
            )
        if name.removesuffix(PART).endswith(_onnx_weights.TURNED):
            values = values.T
        found[_layer(node)] = StoredWeight(values, _dtype(constant), num_bytes)
    return found


def _scale_of(node: Any) -> np.ndarray | None:
    """Return the factors between a node and its integers, shaped to multiply them; None when there are none."""
    import numpy as np

    source = _source(node)
    if source.get_type_name() != "Multiply":
        return None
    factor = _input(source, 1)
    if factor.get_type_name() != "Reshape":
        return np.asarray(factor.data)
    return np.asarray(_input(factor, 0).data).reshape(_input(factor, 1).data)


def _input(node: Any, place: int) -> Any:
    """Return the node that an input comes from."""
    return node.input(place).get_source_output().get_node()


def _smoothing_of(node: Any) -> np.ndarray | None:
    """Return what SmoothQuant multiplies the inputs with, as (inputs, 1); None where it did nothing."""
    source = _input(node, 0)
    while source.get_type_name() in ("FakeQuantize", "Reshape"):
        source = _input(source, 0)
    if SMOOTHED not in source.get_friendly_name() or source.get_type_name() != "Multiply":
        return None
    factor: np.ndarray = _input(source, 1).data
    return factor.reshape(-1, 1)


def _source(node: Any) -> Any:
    """Return the node that a weighted node's weight comes from."""
    return _input(node, WEIGHTED[node.get_type_name()])


def _is_scale(constant: Any) -> bool:
    """Say whether a constant only belongs to a quantized tensor: a factor or zero point of integers, the end of a range."""
    return all(
        reader.get_type_name() == "FakeQuantize"
        or (
            reader.get_type_name() in ("Multiply", "Subtract")
            and place == 1
            and _input(reader, 0).get_type_name() in ("Convert", "Subtract")
        )
        for reader, place in _readers(constant)
    )


def _readers(node: Any) -> Iterator[tuple[Any, int]]:
    """Yield what reads a constant and as which input, through casts and reshapes on its way."""
    for each in node.output(0).get_target_inputs():
        reader = each.get_node()
        if reader.get_type_name() in ("Reshape", "Convert"):
            yield from _readers(reader)
        else:
            yield reader, each.get_index()


def _numbers(constant: Any) -> np.ndarray:
    """Return a constant's numbers; bfloat16 is told as float32, int4 as int8."""
    import numpy as np

    if _dtype(constant) == "int4":
        count = int(np.prod(list(constant.shape)))
        unsigned = _packed.from_bytes(np.asarray(constant.data).view(np.uint8).reshape(1, -1), 4, count)
        return ((unsigned ^ 8).astype(np.int8) - 8).reshape(list(constant.shape))
    if _dtype(constant) != "bfloat16":
        return np.asarray(constant.data)
    bits = np.asarray(constant.data).view(np.uint16).astype(np.uint32) << 16
    return bits.view(np.float32)


def _dtype(constant: Any) -> str:
    name = constant.get_element_type().to_string()
    return {"bf16": "bfloat16", "f32": "float32", "i8": "int8", "i4": "int4", "u8": "uint8", "f16": "float16"}.get(
        name, name
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hush NNCF's progress bars and advice: the run has a log of its own."""
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
