"""What data-free steps do to a matrix in a checkpoint: the same arithmetic as in memory, row by row, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench import _float8, _numbers, grids
from workbench.nouns import Grid
from workbench.streamed import Blocks, Dense, Piece, Stores, Streamed

HALF = 1 << 16


@dataclass(frozen=True)
class Magnitude(Streamed):
    """The smallest share of each matrix becomes zero, as `_zeros.zero_lowest` does it."""

    sparsity: float
    skip: Sequence[str] = ()

    def change(self, shape: tuple[int, ...], dtype: str) -> Blocks:
        return _Smallest(int(self.sparsity * shape[0] * shape[1]), looks=1 if dtype == "BF16" else 2)


class _Smallest(Blocks):
    """Finds the k-th smallest size by counting the upper half of its bits, then the lower; ties go by position."""

    def __init__(self, num_zeros: int, *, looks: int) -> None:
        self.looks, self.num_zeros = looks, num_zeros
        self.counts = np.zeros(
            (2, HALF), np.int64
        )  # of upper halves; of lower ones whose upper half is the threshold's
        self.rows_seen, self.upper = 0, -1

    def look(self, rows: np.ndarray) -> None:
        sizes = _sizes(rows)
        if self.looks == 2 and self.upper >= 0:
            self.counts[1] += np.bincount(sizes[sizes >> 16 == self.upper] & (HALF - 1), minlength=HALF)
        else:
            self.counts[0] += np.bincount(sizes >> 16, minlength=HALF)

    def looked(self) -> None:
        if self.upper < 0:
            self.upper, self.left = _place(self.counts[0], self.num_zeros)
            self.threshold = self.upper << 16
        else:
            lower, self.left = _place(self.counts[1], self.left)
            self.threshold |= lower

    def change(self, rows: np.ndarray) -> np.ndarray:
        sizes = _sizes(rows)
        gone = sizes < self.threshold
        if self.left:
            equal = np.flatnonzero(sizes == self.threshold)[: self.left]
            gone[equal] = True
            self.left -= len(equal)
        return np.where(gone.reshape(rows.shape), np.float32(0), rows)


def _sizes(rows: np.ndarray) -> np.ndarray:
    """Return bits that are ordered as the sizes are."""
    return rows.view(np.uint32).ravel() & np.uint32(0x7FFFFFFF)


def _place(counts: np.ndarray, number: int) -> tuple[int, int]:
    """Return where the `number` smallest end, and how many of that place are still among them."""
    below = np.cumsum(counts)
    place = int(np.searchsorted(below, number))
    return place, number - int(below[place - 1] if place else 0)


@dataclass(frozen=True)
class Pattern(Streamed):
    """Of each `group_size` neighbours the `keep` largest stay."""

    keep_largest: int
    group_size: int
    skip: Sequence[str] = ()

    def why_not(self, shape: tuple[int, ...]) -> str:
        return f"{shape[1]} inputs are no multiple of {self.group_size}" if shape[1] % self.group_size else ""

    def change(self, shape: tuple[int, ...], dtype: str) -> Blocks:
        return _Largest(self.keep_largest, self.group_size)


class _Largest(Blocks):
    def __init__(self, keep: int, group_size: int) -> None:
        self.num_gone, self.group_size = group_size - keep, group_size

    def change(self, rows: np.ndarray) -> np.ndarray:
        groups = rows.reshape(-1, self.group_size)
        order = np.argsort(np.abs(groups), axis=-1, kind="stable")
        changed = groups.copy()
        np.put_along_axis(changed, order[:, : self.num_gone], np.float32(0), axis=-1)
        return changed.reshape(rows.shape)


@dataclass(frozen=True)
class Integers(Streamed):
    """Rounded to nearest: packed words with a scale per group or row; with 8-bit inputs, plain int8 with one per row."""

    bits: int
    group_size: int | None  # None = a row
    symmetric: bool = True
    search: bool = False
    dynamic_inputs: bool = False  # inputs are rounded to 8 bits too, token by token, while running
    skip: Sequence[str] = ()
    calibrated: bool = False

    stores = True

    @property
    def quantization(self) -> Mapping[str, Any]:  # type: ignore[override]
        strategy = "channel" if self.group_size is None else "group"
        weights = {"num_bits": self.bits, "type": "int", "symmetric": self.symmetric, "strategy": strategy,
                   "group_size": self.group_size, "dynamic": False, "observer": "mse" if self.search else "minmax"}  # fmt: skip
        inputs = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "token", "dynamic": True}
        how = "int-quantized" if self.dynamic_inputs else "pack-quantized"
        return {"weights": weights, "input_activations": inputs if self.dynamic_inputs else None, "format": how}

    def why_not(self, shape: tuple[int, ...]) -> str:
        if self.group_size and shape[1] % self.group_size:
            return f"{shape[1]} inputs are no multiple of {self.group_size}"
        return ""

    def pieces(self, shape: tuple[int, ...], dtype: str) -> tuple[Piece, ...]:
        num_groups = shape[1] // (self.group_size or shape[1])
        scales = Piece("weight_scale", dtype, (shape[0], num_groups))
        if self.dynamic_inputs:
            return Piece("weight", "I8", shape), scales
        words = Piece("weight_packed", "I32", (shape[0], _num_words(shape[1], self.bits)))
        zeros = Piece("weight_zero_point", "I32", (_num_words(shape[0], self.bits), num_groups))
        return words, scales, Piece("weight_shape", "I64", (2,)), *(() if self.symmetric else (zeros,))

    def keep(self, shape: tuple[int, ...], dtype: str) -> Stores:
        return _Rounding(self, shape, dtype)

    def keep_grid(self, grid: Grid, dtype: str) -> Sequence[np.ndarray]:
        rounding = _Rounding(self, grid.integers.shape, dtype)
        rounding.scales, rounding.zeros = [grid.scales], [grid.zeros]
        return grids.to_words(grid.integers, self.bits), *rounding.rest()


class _Rounding(Stores):
    def __init__(self, how: Integers, shape: tuple[int, ...], dtype: str) -> None:
        self.how, self.shape, self.dtype = how, shape, dtype
        self.scales: list[np.ndarray] = []
        self.zeros: list[np.ndarray] = []

    def store(self, rows: np.ndarray, given: np.ndarray) -> np.ndarray:
        how, size = self.how, self.how.group_size or self.shape[1]
        groups = rows.reshape(len(rows), -1, size)
        scales, zeros = grids.ranges(groups, bits=how.bits, symmetric=how.symmetric, search=how.search)
        scales = _numbers.kept(scales, self.dtype)  # integers are those of the scale that a reader has
        integers = grids.rounded(groups, scales, zeros, how.bits)
        self.squared_error += grids.lost(given.reshape(groups.shape), integers, scales, zeros)
        self.scales.append(scales)
        self.zeros.append(zeros.astype(np.uint8))
        flat = integers.reshape(rows.shape)
        return (flat ^ 0x80).view(np.int8) if how.dynamic_inputs else grids.to_words(flat, how.bits)

    def rest(self) -> Sequence[np.ndarray]:
        scales = _numbers.narrowed(np.concatenate(self.scales), self.dtype)
        if self.how.dynamic_inputs:
            return (scales,)
        found = [scales, np.asarray(self.shape, "<i8")]
        if not self.how.symmetric:
            found.append(grids.to_words(np.concatenate(self.zeros).T, self.how.bits).T)
        return found


def _num_words(count: int, bits: int) -> int:
    return -(-count * bits // 32)


@dataclass(frozen=True)
class Floats(Streamed):
    """8-bit floats with a scale per row; with dynamic inputs these are rounded so too, token by token, while running."""

    dynamic_inputs: bool = False
    skip: Sequence[str] = ()

    stores = True

    @property
    def quantization(self) -> Mapping[str, Any]:  # type: ignore[override]
        floats = {"num_bits": 8, "type": "float", "symmetric": True}
        weights = {**floats, "strategy": "channel", "group_size": None, "dynamic": False, "observer": "minmax"}
        inputs = {**floats, "strategy": "token", "dynamic": True}
        return {
            "weights": weights,
            "input_activations": inputs if self.dynamic_inputs else None,
            "format": "float-quantized",
        }

    def pieces(self, shape: tuple[int, ...], dtype: str) -> tuple[Piece, ...]:
        return Piece("weight", "F8_E4M3", shape), Piece("weight_scale", dtype, (shape[0], 1))

    def keep(self, shape: tuple[int, ...], dtype: str) -> Stores:
        return _RoundingToFloats(dtype)


class _RoundingToFloats(Stores):
    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.scales: list[np.ndarray] = []

    def store(self, rows: np.ndarray, given: np.ndarray) -> np.ndarray:
        scales = _numbers.kept(_numbers.no_smaller(_float8.scales(rows), self.dtype), self.dtype)
        stored = _float8.rounded(rows, scales)
        self.squared_error += _float8.lost(given, stored, scales)
        self.scales.append(scales)
        return stored

    def rest(self) -> Sequence[np.ndarray]:
        return (_numbers.narrowed(np.concatenate(self.scales), self.dtype),)


@dataclass(frozen=True)
class Calibrated(Streamed):
    """Changes values in a way that only the step itself knows, on a block of the model."""

    skip: Sequence[str] = ()
    calibrated: bool = True


@dataclass(frozen=True)
class Cast(Streamed):
    """All numbers of the model in 16 bits."""

    dtype: str = "BF16"
    skip: Sequence[str] = ()

    stores = whole = True

    def pieces(self, shape: tuple[int, ...], dtype: str) -> tuple[Piece, ...]:
        return (Piece("weight", self.dtype, shape),)

    def keep(self, shape: tuple[int, ...], dtype: str) -> Stores:
        return Dense(self.dtype)
