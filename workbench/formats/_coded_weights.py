"""Takes an ONNX graph and its float32 tensors apart, and tells what a coded file holds of them."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.formats import _coded_grid, _coded_writer, _onnx_graph, _onnx_weights, _stored
from workbench.formats._coded_grid import CodedGrid
from workbench.formats._coded_reader import Cost
from workbench.nouns import Quantization, StoredWeight
from workbench.part import SaveContext

if TYPE_CHECKING:
    from torch import nn


def taken_apart(
    model: nn.Module, ctx: SaveContext, *, vectors: bool, tables: bool
) -> tuple[bytes, dict[str, np.ndarray], dict[str, CodedGrid]]:
    """Return the serialized graph without its float32 tensors, these as they are read, and the grids that some lie on.

    `vectors`, `tables`: whether tensors with one axis, and codebooks with scales, are rounded to float16.
    """
    import onnx
    from onnx import numpy_helper

    with tempfile.TemporaryDirectory(prefix="workbench-") as place:
        path = Path(place) / "model.onnx"
        _onnx_graph.write(model, ctx.example, path, fold=not (ctx.quantization and _is_normalised(model)))
        if len(list(path.parent.iterdir())) > 1:
            raise WorkbenchError(
                "a coded model is opened as one ONNX file of less than 2 GB", next_move="choose format onnx"
            )
        _onnx_graph.strip(path)
        whole = onnx.load(str(path))
    floats = {tensor.name: tensor for tensor in whole.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    read = dict.fromkeys(name for node in whole.graph.node for name in node.input if name in floats)
    tensors = {name: numpy_helper.to_array(floats[name]) for name in {**read, **dict.fromkeys(floats)}}
    kept = [tensor for tensor in whole.graph.initializer if tensor.name not in tensors]
    del whole.graph.initializer[:]
    whole.graph.initializer.extend(kept)
    _shorten_names(whole)
    grids = _coded_grid.of_layers(tensors, ctx.quantization, half=tables)
    for name, array in tensors.items():
        if name in grids:
            tensors[name] = grids[name].values()
        elif (vectors and array.ndim == 1) or (tables and array.ndim > 1 and _is_shared(array)):
            tensors[name] = _in_float16(name, array)
    return whole.SerializeToString(), tensors, grids


def _is_normalised(model: nn.Module) -> bool:
    """Say whether exporting could fold a normalisation into a weight, whose numbers would then be others."""
    from torch.nn.modules.batchnorm import _BatchNorm

    return any(isinstance(module, _BatchNorm) for module in model.modules())


def _is_shared(array: np.ndarray) -> bool:
    return len(np.unique(array)) <= _coded_writer.LARGEST_CODEBOOK + 1  # and zero


def _shorten_names(model: Any) -> None:
    """Number what flows between nodes and drop what no runtime reads; a graph with subgraphs keeps its names."""
    graph = model.graph
    model.producer_name = model.producer_version = graph.name = ""
    graph.name = "g"
    fixed = {value.name for value in (*graph.input, *graph.output)}
    between = [name for node in graph.node for name in node.output if name and name not in fixed]
    has_subgraphs = any(attribute.HasField("g") for node in graph.node for attribute in node.attribute)
    short = {} if has_subgraphs else {name: f"_{number}" for number, name in enumerate(between)}
    for node in graph.node:
        node.name = ""
        for names in (node.input, node.output):
            names[:] = [short.get(name, name) for name in names]


def _in_float16(name: str, array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        rounded = array.astype(np.float16).astype(np.float32)
    if not np.isfinite(rounded).all():
        raise WorkbenchError(
            f"{name} holds numbers that float16 can't hold", next_move="vectors=float32 tables=float32"
        )
    return rounded


def check_codebooks(tensors: Mapping[str, np.ndarray], quantization: Mapping[str, Quantization]) -> None:
    """Raise when a layer has more values than its step recorded: something between the step and here changed them."""
    by_layer = {_onnx_weights.layer_of(name): array for name, array in tensors.items() if _is_weight(name)}
    for layer, how in quantization.items():
        if how.scheme != "codebook":
            continue
        if layer not in by_layer:
            raise WorkbenchError(f"the exported graph has no weight of {layer}", next_move="name it in skip")
        found, allowed = np.unique(by_layer[layer]), int(how.weights.removeprefix("codebook"))
        if len(found[found != 0]) > allowed:
            raise WorkbenchError(
                f"{layer} holds {len(found)} values in the exported graph, its codebook {allowed}",
                next_move="name it in skip, or choose format pt2",
            )


def _is_weight(name: str) -> bool:
    return name.removesuffix(_onnx_weights.TURNED).endswith(_onnx_weights.WEIGHT)


def stored(tensors: Mapping[str, np.ndarray], costs: Mapping[str, Cost]) -> dict[str, StoredWeight]:
    """Return every layer's weight, shaped as in the module."""
    return {
        _onnx_weights.layer_of(name): StoredWeight(
            array.T if name.endswith(_onnx_weights.TURNED) else array, dtype_of(costs[name]), costs[name].num_bytes
        )
        for name, array in tensors.items()
        if _is_weight(name)
    }


def dtype_of(cost: Cost) -> str:
    """Return `codebook12` for twelve shared values, `int4` for integers of a grid, else float32."""
    if cost.grid_bits:
        return f"int{cost.grid_bits}"
    return "float32" if cost.num_values is None else f"codebook{cost.num_values}"


def summary(tensors: Mapping[str, np.ndarray], costs: Mapping[str, Cost], num_bytes: int) -> dict[str, Any]:
    """Return the card's `precision`: dense_bytes are those of indices of a fixed width, zero among them."""
    rows = [
        (dtype_of(costs[name]), array.size, int(np.count_nonzero(array)), _fixed_width(costs[name]) / 8, array.ndim)
        for name, array in tensors.items()
        if array.size > 1
    ]
    told = _stored.summary(rows, activations="float32")  # type: ignore[arg-type]
    weights = [name for name, array in tensors.items() if array.ndim >= 2]
    count = max(1, sum(tensors[name].size for name in weights))
    parts = {
        part: round(sum(getattr(cost, part) for cost in costs.values()) / 8)
        for part in ("positions", "indices", "floats", "codebook")
    }
    return {
        **told,
        "dense_bytes": round(told["dense_bytes"]),
        "bytes_by_part": {**parts, "graph and the rest": num_bytes - sum(parts.values())},
        "bits_per_weight": sum(8 * costs[name].num_bytes for name in weights) / count,
        "entropy_bits_per_weight": _entropy(tensors, costs, weights) / count,
    }


def _entropy(tensors: Mapping[str, np.ndarray], costs: Mapping[str, Cost], weights: list[str]) -> float:
    """Return the order-0 entropy of all weights in bits, codebooks left out; what has none counts as it is coded."""
    return sum(
        _coded_writer.shannon_bits(tensors[name]) if costs[name].num_values is not None else 8 * costs[name].num_bytes
        for name in weights
    )


def _fixed_width(cost: Cost) -> int:
    """Return the bits of one number if all took the same."""
    if cost.grid_bits:
        return cost.grid_bits
    return 32 if cost.num_values is None else math.ceil(math.log2(cost.num_values + 1))
