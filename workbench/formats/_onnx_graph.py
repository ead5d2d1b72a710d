"""Writing a graph with torch.onnx, and reading back which numbers it stores."""

from __future__ import annotations

import collections
import contextlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import _torchlib
from workbench.errors import WorkbenchError
from workbench.formats import _export, _onnx_float8, _onnx_packed, _onnx_signs, _onnx_weights, _stored
from workbench.nouns import Quantization

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

LARGEST_SINGLE_FILE = 2**31 - 2**20  # protobuf's limit, with room for the graph


def write(model: nn.Module, example: Mapping[str, np.ndarray], path: Path, *, fold: bool = True) -> None:
    """Export to one file with a free batch axis; inputs keep their names, the output is `logits`.

    Folding merges normalisations into convolutions, which are then no longer the numbers that the module held.
    """
    import torch

    _torchlib.read_once()
    program = _export.export(model, example)
    with _export.hushed(), contextlib.redirect_stdout(io.StringIO()):
        try:
            exported = torch.onnx.export(
                program, input_names=list(example), output_names=["logits"], dynamo=True, verbose=False, optimize=fold
            )
        except torch.onnx.errors.OnnxExporterError as error:
            first_line = str(error).splitlines()[0]
            raise WorkbenchError(
                f"ONNX can't express this model: {first_line}", next_move="choose format pt2"
            ) from error
        assert exported is not None
        size = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
        exported.save(str(path), external_data=size > LARGEST_SINGLE_FILE)
    _onnx_weights.name_after_layers(path, model)


def strip(path: Path) -> list[str]:
    """Drop what no runtime reads, and say what it was: comments, stack traces, module paths and inferred shapes."""
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    removed = collections.Counter[str]()
    for entry in (model, *model.functions, *_entries(model.graph)):
        removed["doc_string"] += bool(entry.doc_string)
        entry.doc_string = ""
        for each in entry.metadata_props:
            removed[f"metadata {each.key}"] += 1
        del entry.metadata_props[:]
    del model.graph.value_info[:]
    path.write_bytes(model.SerializeToString())
    return [f"{path.name}: {what} ({count} ×)" for what, count in sorted(removed.items()) if count]


def _entries(graph: Any) -> Iterator[Any]:
    """Yield everything in a graph that can carry a comment, the graphs inside its nodes too."""
    yield graph
    yield from (*graph.input, *graph.output, *graph.initializer)
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _entries(inner)


def stored(path: Path, quantization: Mapping[str, Quantization]) -> dict[str, Any]:
    """Summarise the parameter tensors in the file; scales, zero points and shape constants are not parameters."""
    import numpy as np
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    zero_points = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.name.endswith("_zero_point")
    }
    packed = _onnx_packed.stored(graph) | _onnx_signs.stored(graph) | _onnx_float8.stored(graph)
    rows = [_stored.row(weight) for weight in packed.values()]
    for tensor in graph.initializer:
        if (
            tensor.name.endswith(("_scale", "_zero_point"))
            or tensor.name in packed
            or tensor.name.startswith(_onnx_signs.OURS)
        ):
            continue
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.int64 or array.size <= 1:
            continue
        zero = zero_points.get(tensor.name.removesuffix("_quantized") + "_zero_point")
        nonzero = np.count_nonzero(array if zero is None or zero.ndim else array != zero)
        rows.append((str(array.dtype), array.size, int(nonzero), _stored.num_bytes(array) / array.size, array.ndim))
    if _stored.is_simulated(quantization):
        return _stored.summary(rows, activations="float32", simulated=True)
    kinds = sorted({each.activations for each in quantization.values()})
    schemes = {each.scheme for each in quantization.values()} - {"weight_only", "float8", "signs"}
    scheme = next(iter(schemes), "")
    return _stored.summary(rows, activations=f"{' and '.join(kinds)} {scheme}".strip())
