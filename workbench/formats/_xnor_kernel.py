"""Products of signs by counting bits: needs NumPy alone; this very file travels beside an XNOR model as xnor.py.

With n signs a side, Σ a·b = n − 2 · popcount(a xor b). Where numba is installed its compiled kernel counts, else NumPy:
both give the same whole numbers. Sixty-four signs lie in a word, the first in the lowest bit; a set bit is +1 (also for 0).
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

WORD = 64
LARGEST_PIECE = 2**22  # words that the NumPy kernel holds at once
_registered: list[Any] = []  # torch forgets operations whose library is gone
_words_of: dict[
    Any, tuple[Any, np.ndarray]
] = {}  # stored signs as words, by where they lie; the tensor stays, so they do


def pack(positive: np.ndarray) -> np.ndarray:
    """Return the words of booleans along the last axis (…, n) → (…, words); the last word is filled up with zeros."""
    missing = -positive.shape[-1] % WORD
    if missing:
        positive = np.concatenate([positive, np.zeros((*positive.shape[:-1], missing), bool)], axis=-1)
    return np.packbits(positive, axis=-1, bitorder="little").view("<u8")


def products(left: np.ndarray, right: np.ndarray, num_signs: int) -> np.ndarray:
    """Return Σ a·b of each row of `left` (M, words) with each of `right` (N, words) as int32 (M, N)."""
    return counter()(np.ascontiguousarray(left), np.ascontiguousarray(right.T), num_signs)


def linear(inputs: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Return sign(inputs) · weightsᵀ for float inputs (M, n) and packed weight rows (N, words), as float32."""
    return products(pack(inputs >= 0), signs, inputs.shape[1]).astype(np.float32)


def taps(positive: np.ndarray) -> np.ndarray:
    """Return weights (outputs, channels, kh, kw) of booleans as words (outputs, kh · kw · words of the channels)."""
    return pack(positive.transpose(0, 2, 3, 1)).reshape(len(positive), -1)


def conv2d(
    inputs: np.ndarray, signs: np.ndarray, kernel: tuple[int, int], stride: tuple[int, int],
    padding: tuple[int, int], dilation: tuple[int, int],
) -> np.ndarray:  # fmt: skip
    """Return the convolution of sign(inputs) (N, channels, H, W) with `taps`, as float32; what is padded counts as +1."""
    num_channels, (rows, columns) = inputs.shape[1], padding
    bordered = np.pad(
        inputs.transpose(0, 2, 3, 1) >= 0, ((0, 0), (rows, rows), (columns, columns), (0, 0)), constant_values=True
    )
    words = pack(bordered)
    reach = [dilation[axis] * (kernel[axis] - 1) + 1 for axis in (0, 1)]
    windows = np.lib.stride_tricks.sliding_window_view(words, reach, axis=(1, 2))  # type: ignore[call-overload]
    windows = windows[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]
    num, height, width = windows.shape[:3]
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(num * height * width, -1)
    counted = products(patches, signs, num_channels * kernel[0] * kernel[1])
    return counted.reshape(num, height, width, -1).transpose(0, 3, 1, 2).astype(np.float32)


@functools.cache
def counter() -> Callable[[np.ndarray, np.ndarray, int], np.ndarray]:
    """Return the kernel (left, right transposed, number of signs) → int32: compiled where numba is, else NumPy's."""
    return compiled() if importlib.util.find_spec("numba") else in_numpy


def in_numpy(left: np.ndarray, right: np.ndarray, num_signs: int) -> np.ndarray:
    found = np.empty((len(left), right.shape[1]), np.int32)
    rows = max(1, LARGEST_PIECE // max(1, right.size))
    for start in range(0, len(left), rows):
        piece = left[start : start + rows, :, None] ^ right[None]
        found[start : start + rows] = num_signs - 2 * np.bitwise_count(piece).sum(1, dtype=np.int32)
    return found


@functools.cache
def compiled() -> Callable[[np.ndarray, np.ndarray, int], np.ndarray]:
    """Compile the kernel: eight words of `right` are counted at once, four rows of `left` share what was loaded."""
    from numba import njit, types
    from numba.extending import intrinsic

    def population(typing: Any, word: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.ctpop(arguments[0])

        return types.uint64(types.uint64), generate

    count_bits: Any = intrinsic(population)

    @njit(nogil=True)
    def count(left: np.ndarray, right: np.ndarray, num_signs: int) -> np.ndarray:
        num_rows, num_words = left.shape
        num_columns = right.shape[1]
        found = np.empty((num_rows, num_columns), np.int32)
        differing = np.empty((4, num_columns), np.uint64)
        for start in range(0, num_rows, 4):
            rows = min(4, num_rows - start)
            differing[:] = 0
            for word in range(num_words):
                if rows == 4:
                    first, second = left[start, word], left[start + 1, word]
                    third, fourth = left[start + 2, word], left[start + 3, word]
                    for column in range(num_columns):
                        given = right[word, column]
                        differing[0, column] += count_bits(first ^ given)
                        differing[1, column] += count_bits(second ^ given)
                        differing[2, column] += count_bits(third ^ given)
                        differing[3, column] += count_bits(fourth ^ given)
                else:
                    for row in range(rows):
                        value = left[start + row, word]
                        for column in range(num_columns):
                            differing[row, column] += count_bits(value ^ right[word, column])
            for row in range(rows):
                for column in range(num_columns):
                    found[start + row, column] = num_signs - 2 * np.int64(differing[row, column])
        return found

    return count


def register() -> Any:
    """Make torch know `xnor::linear` and `xnor::conv2d`, once; keep what is returned for as long as they are used."""
    import torch

    if _registered:
        return _registered[0]
    library = torch.library.Library("xnor", "DEF")
    library.define("linear(Tensor inputs, Tensor signs) -> Tensor")
    library.define(
        "conv2d(Tensor inputs, Tensor signs, int[] kernel, int[] stride, int[] padding, int[] dilation) -> Tensor"
    )

    def dense(inputs: Any, signs: Any) -> Any:
        return torch.from_numpy(linear(inputs.contiguous().numpy(), _kept(signs, (inputs.shape[-1],))))

    def spatial(inputs: Any, signs: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Any:
        words = _kept(signs, (inputs.shape[1], *kernel))
        found = conv2d(
            inputs.contiguous().numpy(), words, tuple(kernel), tuple(stride), tuple(padding), tuple(dilation)
        )
        return torch.from_numpy(np.ascontiguousarray(found))

    def dense_shape(inputs: Any, signs: Any) -> Any:
        return inputs.new_empty((inputs.shape[0], signs.shape[0]))

    def spatial_shape(inputs: Any, signs: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Any:
        extents = [
            (size + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1) // stride[axis] + 1
            for axis, size in enumerate(inputs.shape[2:])
        ]
        return inputs.new_empty((inputs.shape[0], signs.shape[0], *extents))

    for name, compute, shape in (("linear", dense, dense_shape), ("conv2d", spatial, spatial_shape)):
        library.impl(name, compute, "CPU")
        torch.library.register_fake(f"xnor::{name}", shape, lib=library)
    _registered.append(library)
    return library


def _kept(signs: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return stored rows (outputs, bytes) of weights of this shape as words, made once for as long as the process lives."""
    place = (signs.data_ptr(), tuple(signs.shape), shape)
    if place not in _words_of:
        bits = np.unpackbits(signs.numpy(), axis=1, count=int(np.prod(shape)), bitorder="little").astype(bool)
        _words_of[place] = (signs, pack(bits) if len(shape) == 1 else taps(bits.reshape(len(bits), *shape)))
    return _words_of[place][1]
