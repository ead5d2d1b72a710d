"""Writes `model.coded`; the models of probability are the reader's own, so both sides always agree."""

from __future__ import annotations

import hashlib
import json
import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workbench.formats import _coded_reader as reader
from workbench.formats._coded_grid import CodedGrid

LARGEST_CODEBOOK = 256
LEARNING_BITS = 400.0  # about what twice as many contexts cost until they are known
MOST_LANES = 4096


class Recorder:
    """The encoding half of the coder: keeps each step's intervals, since rANS codes from the last to the first."""

    def __init__(self, num_lanes: int) -> None:
        self.num_lanes, self.steps = num_lanes, list[tuple[np.ndarray, np.ndarray]]()

    def flags(self, zero: np.ndarray, given: np.ndarray) -> np.ndarray:
        self.steps.append((np.where(given, zero, 0), np.where(given, reader.SCALE - zero, zero)))
        return given

    def symbols(self, table: reader.Table, count: int, given: np.ndarray) -> np.ndarray:
        self.steps.append((table.low[given], table.frequency[given]))
        return given

    def model_bits(self) -> float:
        """Return −Σ log2 p of all that was recorded: the bound that coding is held against."""
        return sum(float((reader.BITS - np.log2(frequency)).sum()) for _, frequency in self.steps)

    def coded(self, hidden: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Return (states, words); `hidden` comes out of the states when all is decoded."""
        padded = hidden.ljust(2 * self.num_lanes, b"\0")
        states = reader.LOW + np.frombuffer(padded, "<u2").astype(np.int64)
        words: list[np.ndarray] = []
        for low, frequency in reversed(self.steps):
            active = states[: len(low)]
            full = active >= frequency << (32 - reader.BITS)
            words.append((active[full] & 0xFFFF)[::-1])
            active = np.where(full, active >> 16, active)
            states[: len(low)] = (active // frequency << reader.BITS) + active % frequency + low
        in_order = np.concatenate([np.zeros(0, np.int64), *words])[::-1]
        return states.astype("<u4"), in_order.astype("<u2")


@dataclass(frozen=True)
class _Plan:
    """How one tensor is stored: non-zeros as indices into `codebook`, or as four byte planes of which some are coded."""

    flags: np.ndarray
    kind: str
    indices: np.ndarray | None
    planes: list[np.ndarray]
    raw: bytes
    bits: float  # about what coding will take


def write(graph: bytes, tensors: Mapping[str, np.ndarray], grids: Mapping[str, CodedGrid] | None = None) -> bytes:
    """Return the file's bytes; float32 tensors come back bit for bit, NaN and −0 too.

    `grids` are the integers that some tensors lie on, by name: they are written in place of their floats.
    """
    coder, raw, entries = coded(tensors, grids or {})
    hidden, rest = raw[: 2 * coder.num_lanes], raw[2 * coder.num_lanes :]
    states, words = coder.coded(hidden)
    about = {"lanes": len(states), "words": len(words), "hidden": len(hidden), "raw": len(rest), "tensors": entries}
    deflating = zlib.compressobj(9, wbits=-zlib.MAX_WBITS, zdict=reader.HINTS)
    line = json.dumps(about, separators=(",", ":")).encode()
    header = deflating.compress(line + b"\n" + graph) + deflating.flush()
    digest = hashlib.sha256(header)
    for array in tensors.values():
        digest.update(np.ascontiguousarray(array).data)
    fixed = reader.MAGIC + digest.digest()[: reader.DIGEST] + struct.pack("<I", len(header))
    return fixed + header + states.tobytes() + words.tobytes() + rest


def coded(
    tensors: Mapping[str, np.ndarray], grids: Mapping[str, CodedGrid]
) -> tuple[Recorder, bytes, list[list[object]]]:
    """Return the coder with everything recorded, the raw bytes, and what the header says of each tensor."""
    plans = {name: grids[name] if name in grids else _plan(array) for name, array in tensors.items()}
    raw = b"".join(plan.raw for plan in plans.values())
    coder = Recorder(_num_lanes(len(raw), sum(plan.bits for plan in plans.values()) / 8))
    entries: list[list[object]] = []
    alive = None
    for name, plan in plans.items():
        shape = tensors[name].shape
        if isinstance(plan, CodedGrid):
            reader.symbols(coder, plan.levels, plan.integers.size, plan.integers.ravel().astype(np.int64))
            entries.append([name, list(shape), plan.integers.size, plan.kind])
            alive = reader.alive_units(alive, shape, np.ones(shape, bool))
        else:
            entries.append([name, list(shape), int(plan.flags.sum()), _recorded(coder, plan, shape, alive)])
            alive = reader.alive_units(alive, shape, plan.flags)
    return coder, raw, entries


def _recorded(coder: Recorder, plan: _Plan, shape: tuple[int, ...], alive: np.ndarray | None) -> str:
    """Record one tensor's numbers; returns its kind."""
    count, matrix = int(plan.flags.sum()), reader.matrix_shape(shape)
    flags = plan.flags.reshape(matrix)
    by_above = _comes_in_blocks(flags)
    reader.positions(coder, matrix, count, flags, by_above=by_above, alive=alive)
    if plan.indices is not None:
        reader.symbols(coder, int(plan.kind[1:]), count, plan.indices)
    for plane, pays in zip(plan.planes, plan.kind[1:]):
        if pays == "1":
            reader.symbols(coder, 256, count, plane)
    return plan.kind + reader.BY_ABOVE * by_above


def _comes_in_blocks(flags: np.ndarray) -> bool:
    """Say whether knowing the number above tells more of a position than learning that costs."""
    if len(flags) < 2:
        return False
    both = np.bincount((2 * flags[:-1] + flags[1:]).ravel(), minlength=4).reshape(2, 2)
    alone, known = _entropy(both.sum(0)) * both.sum(), sum(_entropy(each) * each.sum() for each in both)
    return bool(alone - known > LEARNING_BITS)


def _num_lanes(num_raw: int, coded_bytes: float) -> int:
    """Return the most lanes, a power of two, that cost less than 0.4 % of the file.

    A lane's last state takes four bytes and says three on average; two more are lost where no raw bytes fill its first.
    """

    def cost(num_lanes: int) -> float:
        return num_lanes + max(0, 2 * num_lanes - num_raw)

    powers = [2**power for power in range(1, MOST_LANES.bit_length())]
    return max([each for each in powers if cost(each) < 0.004 * (coded_bytes + num_raw)], default=1)


def _plan(array: np.ndarray) -> _Plan:
    assert array.dtype == np.float32, array.dtype
    bits = np.ascontiguousarray(array).view(np.uint32).ravel()
    flags = bits != 0
    numbers = bits[flags]
    where = len(bits) * _entropy(np.bincount(flags, minlength=2))
    as_planes = _in_planes(flags, numbers, where)
    if len(np.unique(numbers[:4096])) > LARGEST_CODEBOOK:
        return as_planes
    codebook, indices, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    if len(codebook) > LARGEST_CODEBOOK:
        return as_planes
    cost = where + _coded_bits(counts)
    letter, values = _narrowest(codebook)
    shared = _Plan(flags, f"{letter}{len(codebook)}", indices, [], values, cost)
    return min(shared, as_planes, key=lambda plan: plan.bits + 8 * len(plan.raw))


def _narrowest(codebook: np.ndarray) -> tuple[str, bytes]:
    """Return how a codebook's float32 bits are written: with half the bytes where float16 holds them all, bit for bit."""
    with np.errstate(over="ignore"):
        half = codebook.view(np.float32).astype("<f2")
    if np.array_equal(half.astype(np.float32).view(np.uint32), codebook):
        return "h", half.tobytes()
    return "c", codebook.astype("<u4").tobytes()


def _in_planes(flags: np.ndarray, numbers: np.ndarray, where: float) -> _Plan:
    """Rotate the sign to the end, so that the first byte is the exponent: the one that is far from uniform."""
    rotated = ((numbers << 1) | (numbers >> 31)).astype("<u4")
    planes = list(rotated.view(np.uint8).reshape(-1, 4).T[::-1])
    coded = [_coded_bits(np.bincount(plane, minlength=256)) for plane in planes]
    pays = [bits < 8 * len(numbers) for bits in coded]
    raw = b"".join(plane.tobytes() for plane, yes in zip(planes, pays) if not yes)
    kind = "p" + "".join(str(int(yes)) for yes in pays)
    return _Plan(flags, kind, None, planes, raw, where + sum(bits for bits, yes in zip(coded, pays) if yes))


def _entropy(counts: np.ndarray) -> float:
    """Return bits per symbol."""
    shares = counts[counts > 0] / max(1, counts.sum())
    return float(-(shares * np.log2(shares)).sum())


def _coded_bits(counts: np.ndarray) -> float:
    """Return about what adaptive coding takes: the entropy, and for each symbol that occurs what it takes to learn it."""
    learning = (counts > 0).sum() * (3 + math.log2(1 + counts.sum()) / 2) if len(counts) > 1 else 0.0
    return float(counts.sum() * _entropy(counts) + learning)


def shannon_bits(array: np.ndarray) -> float:
    """Return the order-0 entropy of a tensor's values, zeros among them, times how many there are."""
    _, counts = np.unique(np.ascontiguousarray(array).view(np.uint32), return_counts=True)
    return array.size * _entropy(counts)
