"""The kernels of `_float8`, compiled by numba at their first call and kept; one thread, without the interpreter's lock."""

from __future__ import annotations

import numpy as np
from numba import njit

SUM = {"reassoc", "contract", "nsz"}  # sums may be taken in any order
SIZE = np.uint32(0x7FFFFFFF)  # all bits of a float32 but its sign
LARGEST = np.uint32(0x43E00000)  # 448
NORMAL = np.uint32(0x3C800000)  # 2⁻⁶, the smallest number with a whole mantissa
ADDED = np.float32(2**14)  # to a smaller one: its last bit then stands for 2⁻⁹, the least step of 8-bit floats
ADDED_BITS = np.uint32(0x46800000)
HALF, ONE, SHIFT, EXPONENTS = np.uint32(0x7FFFF), np.uint32(1), np.uint32(20), np.uint32((127 - 7) << 3)


@njit(cache=True, nogil=True)
def rounded(rows, scales):  # type: ignore[no-untyped-def]
    """As `_float8.rounded`, of rows (n, size) and scales (n,)."""
    width = rows.shape[1]
    stored, divided, small = np.empty(rows.shape, np.uint8), np.empty(width, np.float32), np.empty(width, np.float32)
    bits, small_bits = divided.view(np.uint32), small.view(np.uint32)
    for row in range(len(rows)):
        scale = scales[row]
        for column in range(width):
            divided[column] = rows[row, column] / scale
        for column in range(width):
            small[column] = abs(divided[column]) + ADDED
        for column in range(width):
            size = min(bits[column] & SIZE, LARGEST)
            normal = ((size + HALF + ((size >> SHIFT) & ONE)) >> SHIFT) - EXPONENTS
            number = normal if size >= NORMAL else small_bits[column] - ADDED_BITS
            stored[row, column] = np.uint8(number | ((bits[column] >> np.uint32(24)) & np.uint32(0x80)))
    return stored


@njit(cache=True, nogil=True, fastmath=SUM)
def lost(rows, stored, scales, numbers):  # type: ignore[no-untyped-def]
    """As `_float8.lost`; `numbers` are those of all 256 bytes. float32 within a row, float64 over them."""
    total = 0.0
    for row in range(len(rows)):
        scale = scales[row]
        error = np.float32(0)
        for column in range(rows.shape[1]):
            gap = numbers[stored[row, column]] * scale - rows[row, column]
            error += gap * gap
        total += np.float64(error)
    return total
