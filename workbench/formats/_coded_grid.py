"""Integers of a few bits with their scales, as a coded file takes them in place of the floats that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workbench.errors import WorkbenchError
from workbench.formats import _coded_reader, _onnx_weights
from workbench.nouns import Quantization

CLOSE = 1e-5  # of the largest weight: what exporting may change in the last bits


@dataclass(frozen=True)
class CodedGrid:
    """One weight matrix: integers (outputs, inputs), scales and zero points one a group, and how they are written."""

    integers: np.ndarray  # uint8
    scales: np.ndarray  # float32 (outputs, groups); float16 holds them where `half`
    zeros: np.ndarray | None  # uint8 or float32 (outputs, groups); None = the middle of the grid
    num_bits: int
    group: int | None  # None = a whole row
    turned: bool  # the graph holds it as (inputs, outputs)
    half: bool

    @property
    def levels(self) -> int:
        return 1 << self.num_bits

    @property
    def kind(self) -> str:
        zeros = "" if self.zeros is None else "z" if self.zeros.dtype == np.uint8 else "f"
        return f"i{self.num_bits}/{self.group or 0}{'t' * self.turned}{'h' * self.half}{zeros}"

    @property
    def raw(self) -> bytes:
        scales = self.scales.astype("<f2" if self.half else "<f4").tobytes()
        return scales + (b"" if self.zeros is None else np.ascontiguousarray(self.zeros).tobytes())

    @property
    def bits(self) -> float:
        """Return about what coding the integers takes: their order-0 entropy."""
        shares = np.bincount(self.integers.ravel(), minlength=self.levels) / max(1, self.integers.size)
        shares = shares[shares > 0]
        return float(-(shares * np.log2(shares)).sum()) * self.integers.size

    def values(self) -> np.ndarray:
        """Return the float32 tensor as the graph holds it."""
        zeros = None if self.zeros is None else self.zeros.ravel()
        group = self.group or self.integers.shape[1]
        found = _coded_reader.on_grid(self.integers, self.scales.ravel(), zeros, bits=self.num_bits, group=group)
        return np.ascontiguousarray(found.T if self.turned else found)


def of_layers(
    tensors: Mapping[str, np.ndarray], quantization: Mapping[str, Quantization], *, half: bool
) -> dict[str, CodedGrid]:
    """Return the grids of all layers that a step put on one, by the graph's tensor; raises when a tensor isn't there."""
    names = {_onnx_weights.layer_of(name): name for name in tensors if name != _onnx_weights.layer_of(name)}
    found = {}
    for layer, how in quantization.items():
        if how.scheme != "weight_only":
            continue
        if layer not in names:
            raise WorkbenchError(f"the exported graph has no weight of {layer}", next_move="name it in skip")
        name = names[layer]
        grid = _of_layer(name, how, half=False)
        gap = np.abs(grid.values() - tensors[name]).max() if grid.values().shape == tensors[name].shape else np.inf
        if gap > CLOSE * np.abs(tensors[name]).max():
            raise WorkbenchError(
                f"{layer} isn't in the exported graph as it was rounded (gap {gap:.2g})", next_move="choose format onnx"
            )
        found[name] = _of_layer(name, how, half=half)
    return found


def _of_layer(name: str, how: Quantization, *, half: bool) -> CodedGrid:
    assert how.grid is not None, "a weight_only step hands its grid over"
    scales = how.grid.scales
    if half:
        with np.errstate(over="ignore"):
            scales = scales.astype(np.float16).astype(np.float32)
        if not np.isfinite(scales).all() or (scales == 0).any():
            raise WorkbenchError(f"{name} has scales that float16 can't hold", next_move="tables=float32")
    zeros = None if how.symmetric else how.grid.zeros
    turned = name.endswith(_onnx_weights.TURNED)
    return CodedGrid(how.grid.integers, scales, zeros, how.bits, how.group_size, turned, half)
