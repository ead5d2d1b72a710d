"""How a layer's numbers are stored, and what that takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

BLOCKS = (16, 32, 64, 128, 256)  # weights per scale that kernels of packed weights know


def middle(bits: int) -> float:
    """Return the zero point of a symmetric grid: one of its levels; one bit has two levels, on either side of it."""
    return 2.0 ** (bits - 1) if bits > 1 else 0.5


@dataclass(frozen=True)
class Grid:
    """Where a layer's weights lie exactly: weight = (integer − zero) · scale in float32, with one scale per group."""

    integers: np.ndarray  # uint8 (outputs, inputs), each below 2 ** bits
    scales: np.ndarray  # float32 (outputs, groups)
    zeros: np.ndarray  # (outputs, groups), uint8; or float32, for zero points that lie between integers


@dataclass(frozen=True)
class Quantization:
    """How one layer's numbers are to be stored. Written by a step, lowered by a format's own library."""

    scheme: Literal["dynamic", "static", "cast", "codebook", "weight_only", "float8", "signs", "cache"]
    weights: str  # dtype of stored weights: int8, bfloat16, int4, codebook16 (of 16 shared values, zero not counted)
    activations: str  # dtype while running: int8, uint8, bfloat16, float32; signs
    granularity: Literal["tensor", "channel", "token"] = "tensor"
    calibration: str = ""  # range estimator for static schemes: minmax | percentile | entropy | mse (found by the step)
    num_calibration: int = 0  # examples
    kind: str = ""  # of the layer: linear | conv
    input_range: tuple[float, float] | None = None  # of a static scheme; None = the format finds it by `calibration`
    bias_corrected: bool = False  # the mean error of rounding the weights is already out of the biases
    output_range: tuple[float, float] | None = None  # likewise, for formats that store the layer's outputs as integers
    bits: int = 8  # of static weights too; what follows: of weight_only schemes and of signs (a scale for each output)
    group_size: int | None = None  # input weights that share a scale; None = all of an output channel
    symmetric: bool = True  # the zero point is always `middle(bits)`, and not stored
    float_zeros: bool = False  # zero points are float32, not integers of the grid
    grid: Grid | None = field(default=None, compare=False, repr=False)  # never None in weight_only schemes of a run

    def block(self, num_inputs: int) -> int:
        """Return how many weights share one *stored* scale: a power of two in the group that makes the fewest bytes.

        Files are padded to whole blocks, so a group that is much longer than what is left is stored as several. Rows of
        signs have one scale, and are padded to whole bytes.
        """
        if self.scheme == "signs":
            return -(-num_inputs * self.bits // 8) * 8 // self.bits
        return min(
            (size for size in BLOCKS if size <= (self.group_size or BLOCKS[-1])),
            key=lambda size: (self._row_bytes(num_inputs, size), -size),
        )

    def packed_bytes(self, num_outputs: int, num_inputs: int) -> int:
        """Return the bytes of a packed weight matrix with its scales and zero points."""
        return num_outputs * self._row_bytes(num_inputs, self.block(num_inputs))

    def _row_bytes(self, num_inputs: int, size: int) -> int:
        num_blocks = -(-num_inputs // size)
        zeros = 0 if self.symmetric else num_blocks * 4 if self.float_zeros else -(-num_blocks * self.bits // 8)
        return num_blocks * (size * self.bits // 8 + 4) + zeros


@dataclass(frozen=True)
class StoredWeight:
    """One layer's weight as it lies in a file; biases are not part of it."""

    values: np.ndarray  # float32, dequantized, shaped as in the module
    dtype: str  # of the stored numbers
    num_bytes: int  # stored numbers, with their scales and zero points
