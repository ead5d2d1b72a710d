"""Lowers weights of two or three values onto ONNX: packed bits in the file, widened once when a session is made.

No kernel of ONNX Runtime reads one bit, so a few operations on constants unpack them, and folding constants does these
while loading: the file is small, memory and time are those of float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.formats import _onnx_weights, _packed
from workbench.nouns import Grid, Quantization, StoredWeight, middle

OURS = "unpack_"  # begins the names of constants that are no parameters
EXACT = (
    1e-5  # of the largest: how far a weight may be from its grid, for normalisations are folded in by rounding products
)


def lower(path: Path, quantization: Mapping[str, Quantization]) -> None:
    """Replace the float weight of each recorded layer by packed integers and what unpacks them, in place."""

    def make(name: str, values: np.ndarray) -> tuple[list[Any], dict[str, np.ndarray]]:
        layer, turned = _onnx_weights.layer_of(name), name.endswith(_onnx_weights.TURNED)
        return _unpacking(layer, values.T if turned else values, name, turned, quantization[layer])

    _onnx_weights.computed(path, quantization, make)


def _unpacking(
    layer: str, weight: np.ndarray, target: str, turned: bool, how: Quantization
) -> tuple[list[Any], dict[str, np.ndarray]]:
    """Return nodes that make `target` (as the graph reads it) and the constants they start from."""
    from onnx import helper

    packed = _packed.pack(replace(how, grid=_grid_of(layer, weight, how.bits)))
    base, outputs = layer + _onnx_weights.WEIGHT, len(weight)
    per_byte = 8 // how.bits
    constants = {
        f"{base}{_onnx_weights.few_bits(how.bits)}": packed.integers.reshape(outputs, -1, 1),
        f"{base}_scale": packed.scales,
        f"{OURS}shifts_{how.bits}": np.arange(0, 8, how.bits, dtype=np.uint8),
        f"{OURS}mask_{how.bits}": np.array(2**how.bits - 1, np.uint8),
        f"{OURS}middle_{how.bits}": np.array(middle(how.bits), np.float32),
        f"{OURS}rows_{outputs}": np.array([outputs, -1], np.int64),
        f"{base}_shape": np.array(weight.shape, np.int64),
    }
    integers, scale, shifts, mask, centre, rows, shape = constants
    steps: list[tuple[str, list[str], dict[str, Any]]] = [
        ("BitShift", [integers, shifts], {"direction": "RIGHT"}),
        ("BitwiseAnd", ["", mask], {}),
    ]
    steps += [
        ("Cast", [""], {"to": 1}),
        ("Sub", ["", centre], {}),
        ("Reshape", ["", rows], {}),
        ("Mul", ["", scale], {}),
    ]
    num_inputs = weight[0].size
    if packed.integers.shape[2] * per_byte != num_inputs:
        names = {f"{OURS}zero": 0, f"{OURS}one": 1, f"{OURS}until_{num_inputs}": num_inputs}
        constants |= {name: np.array([value], np.int64) for name, value in names.items()}
        zero, one, until = names
        steps.append(("Slice", ["", zero, until, one], {}))
    steps.append(("Reshape", ["", shape], {}))
    if turned:
        steps.append(("Transpose", [""], {"perm": [1, 0]}))
    nodes, last = [], ""
    for number, (kind, inputs, about) in enumerate(steps):
        output = target if number == len(steps) - 1 else f"{base}_{number}"
        nodes.append(
            helper.make_node(kind, [name or last for name in inputs], [output], name=f"{base}_{number}", **about)
        )
        last = output
    return nodes, constants


def _grid_of(layer: str, weight: np.ndarray, bits: int) -> Grid:
    """Return the grid of a weight as it is in the graph; folding has multiplied each row by a number, perhaps negative."""
    rows = weight.reshape(len(weight), -1)
    scales = np.abs(rows).max(1, keepdims=True)
    scales = np.where(scales > 0, scales, 1).astype(np.float32)
    integers = (rows > 0).astype(np.uint8) if bits == 1 else (np.rint(rows / scales) + 2).astype(np.uint8)
    scales = scales * 2 if bits == 1 else scales
    if np.abs((integers - middle(bits)) * scales - rows).max() > EXACT * np.abs(rows).max():
        raise WorkbenchError(
            f"the exporter has changed the weights of {layer}, which no longer are two or three values a row",
            next_move="choose format pt2",
        )
    return Grid(integers, scales, np.full_like(scales, middle(bits)))


def stored(graph: Any) -> dict[str, StoredWeight]:
    """Return what the packed initializers of a graph stand for, by the initializer's name."""
    from onnx import numpy_helper

    arrays = {tensor.name: tensor for tensor in graph.initializer}
    return {name: weight for name in arrays for weight in _stored(name, arrays, numpy_helper.to_array)}


def _stored(name: str, tensors: Mapping[str, Any], read: Any) -> Iterator[StoredWeight]:
    for bits in _onnx_weights.FEW_BITS:
        if name.endswith(_onnx_weights.few_bits(bits)):
            base = name.removesuffix(_onnx_weights.few_bits(bits))
            integers, scales, shape = (read(tensors[each]) for each in (name, f"{base}_scale", f"{base}_shape"))
            packed = _packed.Packed(bits, int(np.prod(shape[1:])), integers.reshape(len(integers), 1, -1), scales, None)
            found = _packed.stored(packed)
            yield replace(found, values=found.values.reshape(shape))
