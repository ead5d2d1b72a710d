"""Integers of 1, 2, 3, 4 or 8 bits as bytes, in blocks along the inputs: how every format here stores grids.

The bits of consecutive integers follow one another, lowest first: at 4 bits two to a byte, at 3 bits eight to three bytes.
ONNX Runtime's MatMulNBits wants 2, 4 and 8 bits in just this order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.grids import from_bytes, to_bytes
from workbench.nouns import Grid, Quantization, StoredWeight, middle


@dataclass(frozen=True)
class Packed:
    """One weight matrix as it lies in a file; the last block of a row is padded with integers 0, which nobody reads."""

    bits: int
    num_inputs: int
    integers: np.ndarray  # uint8 (outputs, blocks, bytes of a block)
    scales: np.ndarray  # float32 (outputs, blocks)
    zeros: np.ndarray | None  # uint8 (outputs, bytes), packed likewise; or float32 (outputs, blocks); None = symmetric

    @property
    def block(self) -> int:
        return self.integers.shape[2] * 8 // self.bits


def pack(how: Quantization) -> Packed:
    """Pack the grid of a layer."""
    assert how.grid is not None, "a weight_only step hands its grid over"
    grid, (num_outputs, num_inputs) = how.grid, how.grid.integers.shape
    block = how.block(num_inputs)
    num_blocks = -(-num_inputs // block)
    repeats = np.arange(num_blocks) * block // (how.group_size or num_inputs)  # the group that each block is in
    scales, zeros = (np.ascontiguousarray(each[:, repeats]) for each in (grid.scales, grid.zeros))
    padded = np.zeros((num_outputs, num_blocks * block), np.uint8)
    padded[:, :num_inputs] = grid.integers
    integers = to_bytes(padded, how.bits).reshape(num_outputs, num_blocks, -1)
    if how.symmetric:
        stored_zeros = None
    else:
        stored_zeros = zeros if how.float_zeros else to_bytes(zeros, how.bits)
    return Packed(how.bits, num_inputs, integers, scales, stored_zeros)


def unpack(packed: Packed) -> Grid:
    """Return the grid, with one group per stored block."""
    num_outputs, num_blocks = packed.scales.shape
    rows = packed.integers.reshape(num_outputs, -1)
    integers = from_bytes(rows, packed.bits, num_blocks * packed.block)[:, : packed.num_inputs]
    if packed.zeros is None:
        zeros = np.full(packed.scales.shape, middle(packed.bits), np.float32 if packed.bits == 1 else np.uint8)
    elif packed.zeros.dtype == np.uint8:
        zeros = from_bytes(packed.zeros, packed.bits, num_blocks)
    else:
        zeros = packed.zeros
    return Grid(integers, packed.scales, zeros)


def stored(packed: Packed) -> StoredWeight:
    """Return the float32 weights that the packed numbers stand for: (integer − zero) · scale."""
    grid = unpack(packed)
    zeros, scales = (
        np.repeat(each.astype("float32"), packed.block, axis=1)[:, : packed.num_inputs]
        for each in (grid.zeros, grid.scales)
    )
    num_bytes = packed.integers.nbytes + packed.scales.nbytes + (0 if packed.zeros is None else packed.zeros.nbytes)
    return StoredWeight((grid.integers.astype("float32") - zeros) * scales, f"int{packed.bits}", num_bytes)
