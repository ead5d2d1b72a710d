"""Rounding weights to integers and packing these into bytes: NumPy, compiled where numba is installed, never torch.

Steps in memory, file formats and shrinking share it. weight ≈ (integer − zero) · scale; a symmetric grid has 2^bits levels
around `middle(bits)`. The bits of consecutive integers follow one another, lowest first, which is the order of ONNX
Runtime's MatMulNBits and of compressed-tensors' int32 words.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import Any

import numpy as np

from workbench.nouns import middle

SHRINKS = tuple(1 - 0.02 * index for index in range(36))  # shares of the full range that the search tries


def is_compiled() -> bool:
    """Say whether the compiled kernels are there; both give the same integers."""
    return importlib.util.find_spec("numba") is not None


def ranges(groups: np.ndarray, *, bits: int, symmetric: bool, search: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 scales and zero points (…) of float32 groups (…, size); zero is always a level.

    `search` takes, of the shares of the full range in SHRINKS, the one with the least squared error.
    """
    flat = np.ascontiguousarray(groups, np.float32).reshape(-1, groups.shape[-1])
    found = _kernels().ranges if is_compiled() else _ranges
    tried = np.asarray(SHRINKS if search else SHRINKS[:1], np.float32)
    scales, zeros = found(flat, bits, symmetric, tried)
    return scales.reshape(groups.shape[:-1]), zeros.reshape(groups.shape[:-1])


def rounded(groups: np.ndarray, scales: np.ndarray, zeros: np.ndarray, bits: int) -> np.ndarray:
    """Return the nearest integers of the grid as uint8, shaped as the groups (…, size)."""
    if not is_compiled():
        return _rounded(groups, scales[..., None], zeros[..., None], bits).astype(np.uint8)
    flat = np.ascontiguousarray(groups, np.float32).reshape(-1, groups.shape[-1])
    found: np.ndarray = _kernels().rounded(flat, scales.ravel(), zeros.ravel(), bits)
    return found.reshape(groups.shape)


def lost(groups: np.ndarray, integers: np.ndarray, scales: np.ndarray, zeros: np.ndarray) -> float:
    """Return the sum of squared errors."""
    if is_compiled():
        shape = (-1, groups.shape[-1])
        return float(_kernels().lost(groups.reshape(shape), integers.reshape(shape), scales.ravel(), zeros.ravel()))
    error = (integers - zeros[..., None]) * scales[..., None] - groups
    return float(np.square(error, dtype=np.float64).sum())


def widen(halves: np.ndarray) -> tuple[np.ndarray, int]:
    """Return float32 of bfloat16 given as uint16, and the bits of the largest size: 0x7F80 is infinity. Compiled only."""
    wide = np.empty(halves.shape, np.uint32)
    largest = _kernels().widen(halves.ravel(), wide.ravel())
    return wide.view(np.float32), int(largest)


def to_bytes(rows: np.ndarray, bits: int) -> np.ndarray:
    """Pack each row of small integers; the last byte is filled up with zeros."""
    if bits == 8:
        return rows
    if bits == 4:
        return _nibbles(rows)
    each_bit = np.unpackbits(rows[..., None], axis=-1, count=bits, bitorder="little")
    return np.packbits(each_bit.reshape(len(rows), -1), axis=-1, bitorder="little")


def from_bytes(rows: np.ndarray, bits: int, count: int) -> np.ndarray:
    """Return the first `count` integers of each row of bytes."""
    each_bit = np.unpackbits(rows, axis=-1, count=count * bits, bitorder="little")
    return np.packbits(each_bit.reshape(len(rows), count, bits), axis=-1, bitorder="little")[..., 0]


def to_words(rows: np.ndarray, bits: int) -> np.ndarray:
    """Pack each row (n,) of small integers into ⌈n · bits / 32⌉ int32 words, as compressed-tensors does."""
    packed = to_bytes(rows, bits)
    if missing := -packed.shape[1] % 4:
        packed = np.pad(packed, ((0, 0), (0, missing)))
    return np.ascontiguousarray(packed).view("<i4")


def _nibbles(rows: np.ndarray) -> np.ndarray:
    """Bytes of two; eight integers are a 64-bit word whose halves are moved together in three turns."""
    count = rows.shape[1]
    if missing := -count % 8:
        rows = np.pad(rows, ((0, 0), (0, missing)))
    words = np.ascontiguousarray(rows).view("<u8")
    if is_compiled():
        packed = _kernels().nibbles(words.ravel()).reshape(words.shape)
    else:
        packed = words
        for shift, mask in ((4, 0x00FF00FF00FF00FF), (8, 0x0000FFFF0000FFFF), (16, 0x00000000FFFFFFFF)):
            packed = (packed | packed >> np.uint64(shift)) & np.uint64(mask)
        packed = packed.astype("<u4")
    return packed.view(np.uint8).reshape(len(rows), -1)[:, : -(-count // 2)]


@functools.cache
def _kernels() -> Any:
    from workbench import _compiled_grids

    return _compiled_grids


def _ranges(groups: np.ndarray, bits: int, symmetric: bool, shrinks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scales, zeros = _of_range(groups, shrinks[0], bits, symmetric)
    least = _squares(groups, scales, zeros, bits)
    for shrink in shrinks[1:]:
        tried = _of_range(groups, shrink, bits, symmetric)
        error = _squares(groups, *tried, bits)
        scales, zeros = (np.where(error < least, new, old) for new, old in zip(tried, (scales, zeros)))
        least = np.minimum(error, least)
    return scales, zeros


def _squares(groups: np.ndarray, scales: np.ndarray, zeros: np.ndarray, bits: int) -> np.ndarray:
    integers = _rounded(groups, scales[:, None], zeros[:, None], bits)
    found: np.ndarray = np.square((integers - zeros[:, None]) * scales[:, None] - groups, dtype=np.float64).sum(-1)
    return found


def _of_range(groups: np.ndarray, shrink: np.float32, bits: int, symmetric: bool) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric: 2^bits steps around zero, so that either end is half a step from a level."""
    one = np.float32(1)
    if symmetric:
        scales = np.abs(groups).max(-1) * shrink / np.float32(2 ** (bits - 1) - 0.5)
        return np.where(scales > 0, scales, one), np.full_like(scales, middle(bits))
    low, high = np.minimum(groups.min(-1), 0) * shrink, np.maximum(groups.max(-1), 0) * shrink
    scales = (high - low) / np.float32(2**bits - 1)
    scales = np.where(scales > 0, scales, one)
    return scales, np.clip(np.rint(-low / scales), 0, 2**bits - 1)


def _rounded(groups: np.ndarray, scales: np.ndarray, zeros: np.ndarray, bits: int) -> np.ndarray:
    return np.clip(np.rint(groups / scales + zeros), 0, 2**bits - 1)
