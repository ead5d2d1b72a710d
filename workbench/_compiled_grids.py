"""The kernels of `grids`, compiled by numba at their first call and kept; one thread, without the interpreter's lock."""

from __future__ import annotations

import numpy as np
from numba import njit

SUM = {"reassoc", "contract", "nsz"}  # sums may be taken in any order; integers never depend on it


@njit(cache=True, nogil=True)
def ranges(groups, bits, symmetric, shrinks):  # type: ignore[no-untyped-def]
    """As `grids._ranges`: float32 scales and zero points (n,) of groups (n, size)."""
    num = len(groups)
    low, high = _spans(groups.view(np.uint32), symmetric)
    scales, zeros = np.empty(num, np.float32), np.full(num, np.float32(2 ** (bits - 1)))
    top = np.float32(2**bits - 1)
    steps = np.float32(2 ** (bits - 1) - 0.5) if symmetric else top
    for row in range(num):
        zero, least = zeros[row], np.inf
        for shrink in shrinks:
            high_end, low_end = high[row] * shrink, low[row] * shrink
            scale = (high_end - low_end) / steps
            scale = scale if scale > 0 else np.float32(1)
            if not symmetric:
                zero = min(max(np.rint(-low_end / scale), np.float32(0)), top)
            error = np.float32(0)
            if len(shrinks) > 1:
                error = _error(groups[row], scale, zero, top)
            if error < least:
                least, scales[row], zeros[row] = error, scale, zero
    return scales, zeros


@njit(cache=True, nogil=True)
def _spans(bits, symmetric):  # type: ignore[no-untyped-def]
    """Return the lowest (symmetric: 0) and the highest value (symmetric: size) of each group as float32, from its bits."""
    low, high = np.zeros(len(bits), np.uint32), np.empty(len(bits), np.uint32)
    for row in range(len(bits)):
        if symmetric:
            high[row] = _largest(bits[row])
        else:
            low[row], high[row] = _span(bits[row])
    return -low.view(np.float32), high.view(np.float32)


@njit(cache=True, nogil=True)
def rounded(groups, scales, zeros, bits):  # type: ignore[no-untyped-def]
    """As `grids.rounded`, of flat groups (n, size)."""
    top = np.float32(2**bits - 1)
    integers = np.empty(groups.shape, np.uint8)
    for row in range(len(groups)):
        scale, zero = scales[row], zeros[row]
        for column in range(groups.shape[1]):
            value = np.rint(groups[row, column] / scale + zero)
            integers[row, column] = np.uint8(np.int32(min(max(value, np.float32(0)), top)))
    return integers


@njit(cache=True, nogil=True, fastmath=SUM)
def lost(groups, integers, scales, zeros):  # type: ignore[no-untyped-def]
    """As `grids.lost`; float32 within a group, float64 over them."""
    total = 0.0
    for row in range(len(groups)):
        scale, zero = scales[row], zeros[row]
        error = np.float32(0)
        for column in range(groups.shape[1]):
            value = groups[row, column]
            gap = (np.float32(integers[row, column]) - zero) * scale - value
            error += gap * gap
        total += np.float64(error)
    return total


@njit(cache=True, nogil=True)
def widen(halves, wide):  # type: ignore[no-untyped-def]
    """Put bfloat16 (bits as uint16) into float32 (bits as uint32); returns the largest size's bits, infinity is 0x7F80."""
    largest = np.uint16(0)
    for index in range(len(halves)):
        largest = max(largest, np.uint16(halves[index] & np.uint16(0x7FFF)))
    for index in range(len(halves)):
        wide[index] = np.uint32(halves[index]) << np.uint32(16)
    return largest


@njit(cache=True, nogil=True)
def nibbles(words):  # type: ignore[no-untyped-def]
    """Return uint32 with the low nibbles of the eight bytes of each uint64."""
    packed = np.empty(len(words), np.uint32)
    for index in range(len(words)):
        word = words[index]
        word = (word | (word >> np.uint64(4))) & np.uint64(0x00FF00FF00FF00FF)
        word = (word | (word >> np.uint64(8))) & np.uint64(0x0000FFFF0000FFFF)
        packed[index] = np.uint32((word | (word >> np.uint64(16))) & np.uint64(0xFFFFFFFF))
    return packed


@njit(cache=True, nogil=True)
def _span(group):  # type: ignore[no-untyped-def]
    """Return the lowest and the highest value, at most and at least zero; bits of one sign are ordered like integers."""
    low, high = np.uint32(0), np.uint32(0)
    for column in range(len(group)):
        bits = group[column]
        size = bits & np.uint32(0x7FFFFFFF)
        is_negative = np.uint32(0) - (bits >> np.uint32(31))  # all ones, or none
        low = max(low, size & is_negative)
        high = max(high, size & ~is_negative)
    return low, high


@njit(cache=True, nogil=True)
def _largest(group):  # type: ignore[no-untyped-def]
    size = np.uint32(0)
    for column in range(len(group)):
        size = max(size, group[column] & np.uint32(0x7FFFFFFF))
    return size


@njit(cache=True, nogil=True, fastmath=SUM)
def _error(group, scale, zero, top):  # type: ignore[no-untyped-def]
    total = np.float32(0)
    for column in range(len(group)):
        value = group[column]
        level = min(max(np.rint(value / scale + zero), np.float32(0)), top)
        gap = (level - zero) * scale - value
        total += gap * gap
    return total
