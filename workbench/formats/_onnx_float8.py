"""Lowers 8-bit floats onto ONNX: really 8 bits in the file, widened once when a session is made.

Folding constants widens them while loading: the file is small, memory and time are those of float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from workbench import _float8
from workbench.formats import _onnx_weights
from workbench.nouns import Quantization, StoredWeight

FLOAT = 1  # onnx.TensorProto.FLOAT


def lower(path: Path, quantization: Mapping[str, Quantization]) -> None:
    """Replace the float weight of each recorded layer by 8-bit floats and what widens them, in place."""
    _onnx_weights.computed(path, quantization, _widening)


def _widening(name: str, values: np.ndarray) -> tuple[list[Any], dict[str, np.ndarray]]:
    """Return nodes that make the tensor `name` (as the graph reads it, turned or not) and their constants."""
    from onnx import helper

    turned = name.endswith(_onnx_weights.TURNED)
    rows = np.ascontiguousarray(values.T if turned else values)
    scales = _float8.scales(rows)
    stored = _float8.rounded(rows, scales)
    numbers, scale = (np.ascontiguousarray(each.T if turned else each) for each in (stored, scales))
    constants = {f"{name}{_onnx_weights.FLOAT8}": numbers.view(_float8.KIND), f"{name}_scale": scale}
    first, second = constants
    wide = f"{name}_wide"
    cast = helper.make_node("Cast", [first], [wide], name=wide, to=FLOAT)  # of 8-bit floats since opset 19
    return [cast, helper.make_node("Mul", [wide, second], [name], name=name)], constants


def stored(graph: Any) -> dict[str, StoredWeight]:
    """Return what the 8-bit initializers of a graph stand for, by the initializer's name."""
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in graph.initializer}
    found = {}
    for name in tensors:
        if name.endswith(_onnx_weights.FLOAT8):
            base = name.removesuffix(_onnx_weights.FLOAT8)
            numbers, scale = (numpy_helper.to_array(tensors[each]) for each in (name, f"{base}_scale"))
            values = numbers.astype(np.float32) * scale
            turned = values.T if base.endswith(_onnx_weights.TURNED) else values
            found[name] = StoredWeight(turned, numbers.dtype.name, numbers.nbytes + scale.nbytes)
    return found
