"""Stored numbers to float32 and back, block by block: the dtypes of safetensors that weights come in; no torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench import grids
from workbench.errors import WorkbenchError

FLOATS: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}  # how the bytes are looked at


def widened(raw: np.ndarray, dtype: str) -> np.ndarray:
    """Return float32 of stored numbers; raises WorkbenchError when one is infinite or no number."""
    if dtype == "BF16":
        if grids.is_compiled():
            wide, largest = grids.widen(raw)
        else:
            wide, largest = np.left_shift(raw, 16, dtype=np.uint32).view(np.float32), int((raw & 0x7FFF).max(initial=0))
        is_finite = largest < 0x7F80
    else:
        wide = raw.astype(np.float32)
        is_finite = bool(np.isfinite(wide).all())
    if not is_finite:
        raise WorkbenchError("holds NaN or infinity")
    return wide


def narrowed(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return float32 as it is stored, rounded to the nearest, ties to even."""
    if dtype != "BF16":
        return values.astype(FLOATS[dtype], copy=False)
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")


def no_smaller(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return float32 of which none is below the dtype's smallest number of full precision; in float16 that is 2⁻¹⁴."""
    return np.maximum(values, np.float32(2.0**-14 if dtype == "F16" else 2.0**-126))


def kept(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return float32 as a reader of the stored numbers has them."""
    if dtype == "F32":
        return values
    return widened(narrowed(values, dtype), dtype)
