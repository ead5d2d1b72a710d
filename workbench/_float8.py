"""8-bit floats (E4M3: four bits of exponent, three of mantissa, no infinity) with a scale for each row of a matrix; no torch.

Micikevicius et al., arXiv 2209.05433. Formats and shrinking share it: weight ≈ number · scale. Compiled where numba is installed.
"""

from __future__ import annotations

import functools
from typing import Any

import ml_dtypes
import numpy as np

from workbench import grids

KIND = np.dtype(ml_dtypes.float8_e4m3fn)
LARGEST = np.float32(448)
NUMBERS = np.arange(256, dtype=np.uint8).view(KIND).astype(np.float32)  # of all bytes; two are NaN


def scales(rows: np.ndarray) -> np.ndarray:
    """Return float32 (rows, 1) that take the largest number of each row (rows, inputs) to the largest there is; of zeros 1."""
    largest = np.maximum(rows.max(axis=1, keepdims=True), -rows.min(axis=1, keepdims=True)) / LARGEST
    return np.where(largest > 0, largest, np.float32(1))


def rounded(rows: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return the bytes (rows, inputs) of the nearest numbers, ties to even; what a rounded scale leaves too large is clipped."""
    if grids.is_compiled():
        found: np.ndarray = _kernels().rounded(np.ascontiguousarray(rows), scales.ravel())
        return found
    return np.clip(rows / scales, -LARGEST, LARGEST).astype(KIND).view(np.uint8)


def widened(stored: np.ndarray) -> np.ndarray:
    """Return float32 of bytes, before their scales."""
    return NUMBERS[stored]


def lost(rows: np.ndarray, stored: np.ndarray, scales: np.ndarray) -> float:
    """Return the sum of squared errors against rows (rows, inputs)."""
    if grids.is_compiled():
        return float(_kernels().lost(np.ascontiguousarray(rows), stored, scales.ravel(), NUMBERS))
    return float(np.square(widened(stored) * scales - rows, dtype=np.float64).sum())


@functools.cache
def _kernels() -> Any:
    from workbench import _compiled_float8

    return _compiled_float8
