"""How a step changes weight matrices as they lie in a checkpoint, in blocks of rows: what shrinking asks of it; no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench import _numbers
from workbench.nouns import Grid


@dataclass(frozen=True)
class Piece:
    """A tensor that is stored in the place of a weight."""

    suffix: str  # "weight_packed" stands where "weight" stood
    dtype: str  # as safetensors names it
    shape: tuple[int, ...]


class Blocks:
    """One weight matrix under way: its rows come in order, in blocks of float32 (rows, inputs)."""

    looks = 0  # how many times it has to see every row, by `look`, before the first `change`

    def look(self, rows: np.ndarray) -> None:
        """See rows that are read again afterwards."""

    def looked(self) -> None:
        """Every row was seen once more."""

    def change(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows as they are to be, float32; the given ones are lent."""
        return rows


class Stores:
    """One weight matrix under way to its stored form."""

    squared_error = 0.0  # Σ (stored − given)² of all rows so far

    def store(self, rows: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Return what these rows become of the first piece; `given` are the same rows as the source has them."""
        raise NotImplementedError

    def rest(self) -> Sequence[np.ndarray]:
        """Return the other pieces, once every row was stored."""
        return ()


class Dense(Stores):
    """Floats stay floats, of this dtype."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def store(self, rows: np.ndarray, given: np.ndarray) -> np.ndarray:
        stored = _numbers.narrowed(rows, self.dtype)
        gap = (_numbers.widened(stored.reshape(rows.shape), self.dtype) - given).ravel()
        self.squared_error += float(np.dot(gap, gap))
        return stored


class Streamed:
    """A step as shrinking sees it."""

    skip: Sequence[str] = ()
    stores = False  # decides how numbers are stored: `pieces` and `keep`; else `change`
    calibrated = False  # needs what reaches the layers: the step runs on one block of the model after the other
    whole = False  # norms, biases and embeddings are stored so too
    quantization: Mapping[str, Any] | None = (
        None  # `weights`, `input_activations`, `format` of compressed-tensors; None = floats
    )

    def why_not(self, shape: tuple[int, ...]) -> str:
        """Return why a matrix (outputs, inputs) stays as it is; empty when it doesn't."""
        return ""

    def change(self, shape: tuple[int, ...], dtype: str) -> Blocks:
        raise NotImplementedError

    def pieces(self, shape: tuple[int, ...], dtype: str) -> tuple[Piece, ...]:
        """Return what is stored for a weight of this shape and dtype, the one that rows go into first."""
        raise NotImplementedError

    def keep(self, shape: tuple[int, ...], dtype: str) -> Stores:
        raise NotImplementedError

    def keep_grid(self, grid: Grid, dtype: str) -> Sequence[np.ndarray]:
        """Return all pieces of a matrix whose integers a step has found already."""
        raise NotImplementedError
