"""Reads `model.coded` with NumPy and Python's library alone; this very file travels beside the model as decode.py.

File: MAGIC · digest (16) · header bytes (4) · header · rANS states (4 a lane) · words (2 each) · raw bytes. The header is one
line of JSON and the ONNX graph without weights, deflated as if HINTS stood before them; the digest is the first half of the sha256
of the header and all tensors, in their order.

rANS (Duda, arXiv 1311.2540) with interleaved lanes: a step codes one symbol in each of its lanes, then the model learns them
all. A state starts as 2^16 plus two of the raw bytes, so lanes cost nothing as long as there are raw bytes to hide.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

MAGIC = b"WBC2"
DIGEST = 16
FIXED = len(MAGIC) + DIGEST + 4
# What graphs of every model are written with, the most frequent at the end: a small file need not say it again.
HINTS = (
    b"storage_order\x18\x00\xa0\x01\x02*\x12\n\tceil_mode\x18\x00\xa0\x01\x02*\x11\n\x04pads@\x00@\x00@\x00@\x00\xa0\x01\x07*\x15\n"
    b'\x12\x02_0\x1a\x00"\x07MaxPool*\x14\n\rGlobalAveragePool2\x00\nTranspose*\x11\n\x04perm@\x00@\x02@\x01@\x03\xa0\x01\x072\x00\n'
    b'"\x07Softmax*\x0b\n\x04axis\x18\x01\xa0\x01\x022\x00\n"\x12LayerNormalization*\x11\n\x07epsilon\x15\xa0\x01\x012\x00\n"\x06MatMul2\x00\n'
    b'"\x03Add2\x00\n"\x03Mul2\x00\n"\x04Gelu2\x00\n"\x07Sigmoid2\x00\ninner.model.layers.0.mlp.self_attn.q_proj.weight_Transposed'
    b'"\x04Conv*\x0c\n\x05group\x18\x01\xa0\x01\x02*\x11\n\x04pads@\x02@\x02@\x02@\x02\xa0\x01\x07*\x15\n\x08auto_pad"\x06NOTSET\xa0\x01\x03'
    b"*\x10\n\x07strides@\x01@\x01\xa0\x01\x07*\x12\n\tdilations@\x01@\x01\xa0\x01\x07*\x15\n\x0ckernel_shape@\x05@\x05\xa0\x01\x072\x00\n"
    b'{"lanes":1,"words":0,"hidden":2,"raw":16,"tensors":[["conv1.weight",[16,1,3,3],0,"p1000"],["conv1.bias",[16],10,"c4"],'
    b'["fc1.weight",[300,64],400,"h4"],["fc1.bias",[300],64,"h4"],["fc2.weight",[10,100],64,"h4"],["fc2.bias",[10],10,"h8"]]}\n'
    b'\x08\n\x12\x00\x1a\x002\x00:\x95\x02\n2\n\x06pixels\n\x05val_5\x12\x02_0\x1a\x00"\x07Reshape*\x10\n\tallowzero\x18\x01\xa0\x01\x022\x00\n'
    b's\n\x02_0\n\nfc1.weight\n\x08fc1.bias\x12\x02_1\x1a\x00"\x04Gemm*\x0e\n\x04beta\x15\x00\x00\x80?\xa0\x01\x01*\r\n\x06transB\x18\x01\xa0\x01\x02'
    b'*\x0f\n\x05alpha\x15\x00\x00\x80?\xa0\x01\x01*\r\n\x06transA\x18\x00\xa0\x01\x022\x00\n\x12\n\x02_1\x12\x02_2\x1a\x00"\x04Relu2\x00\n'
    b'k\n\x02_4\n\nfc3.weight\n\x08fc3.bias\x12\x06logits\x1a\x00"\x04Gemm\x12\x01g*\x1f\x08\x02\x10\x07B\x05val_5J\x10'
    b"\xff\xff\xff\xff\xff\xff\xff\xff@\x00\x00\x00\x00\x00\x00\x00b\x00R\x00Z%\n\x06pixels\x12\x19\n\x17\x08\x01\x12\x13\n\x05\x12\x03s81\n\x02\x08\x01"
    b"\n\x02\x08\x08\n\x02\x08\x08\x1a\x00b\x1d\n\x06logits\x12\x11\n\x0f\x08\x01\x12\x0b\n\x05\x12\x03s81\n\x02\x08\n\x1a\x00B\x04\n\x00\x10\x14"
)
BITS = 15  # a probability is a whole number of 2^-15
SCALE = 1 << BITS
LOW = 1 << 16  # a state lies in [2^16, 2^32)
# Contexts are classes of the expected share of non-zeros, two an octave: by its float64 exponent and first mantissa bit.
OCTAVES = 12
CLASSES = [1.25 * 2.0**-power * part for power in range(OCTAVES, 0, -1) for part in (1.0, 1.4)]
EMPTY = 1 / 64
BY_ABOVE = "^"  # at the end of a tensor's kind
CODEBOOKS = {"c": 4, "h": 2}  # bytes of a value, by the first letter of the kind
GUESS = 1 << 12  # the guess at the start weighs as much as two seen flags
TRUST = GUESS // 2


class BadFile(ValueError):
    """The bytes are not what was written."""


@dataclass(frozen=True)
class Cost:
    """What one tensor takes in the file, in bits."""

    positions: float  # which numbers are not zero
    indices: float
    floats: float
    codebook: int  # and scales with zero points
    num_values: int | None  # in the codebook; None = there is none
    grid_bits: int = 0  # of integers with scales; 0 = they are none

    @property
    def num_bytes(self) -> int:
        return round((self.positions + self.indices + self.floats + self.codebook) / 8)


class Lanes:
    """The decoding half of the coder; `given` is for the encoding half, which has the same methods."""

    def __init__(self, states: np.ndarray, words: np.ndarray) -> None:
        self.states, self.words, self.position = states.astype(np.int64), words.astype(np.int64), 0
        self.num_lanes = len(states)

    def flags(self, zero: np.ndarray, given: np.ndarray | None) -> np.ndarray:
        """Return one flag a lane; `zero` / 2^15 is the probability that it is not set."""
        slots = self.states[: len(zero)] & (SCALE - 1)
        found = slots >= zero
        self._advance(slots, np.where(found, zero, 0), np.where(found, SCALE - zero, zero))
        return found

    def symbols(self, table: Table, count: int, given: np.ndarray | None) -> np.ndarray:
        """Return `count` symbols, one a lane."""
        slots = self.states[:count] & (SCALE - 1)
        found = table.lookup[slots]
        self._advance(slots, table.low[found], table.frequency[found])
        return found

    def bits(self) -> float:
        """Return how many bits were taken so far, up to a constant."""
        return 16 * self.position - float(np.log2(self.states).sum())

    def _advance(self, slots: np.ndarray, low: np.ndarray, frequency: np.ndarray) -> None:
        states = frequency * (self.states[: len(slots)] >> BITS) + slots - low
        (empty,) = np.nonzero(states < LOW)
        end = self.position + len(empty)
        if end > len(self.words):
            raise BadFile("the coded numbers end too early")
        states[empty] = (states[empty] << 16) | self.words[self.position : end]
        self.states[: len(slots)], self.position = states, end


class Table:
    """Frequencies of symbols, each at least 2^-15, that follow their counts."""

    def __init__(self, counts: np.ndarray) -> None:
        weights = 8 * counts + 1
        self.frequency = 1 + weights * (SCALE - len(counts)) // weights.sum()
        self.frequency[weights.argmax()] += SCALE - self.frequency.sum()
        self.low = np.cumsum(self.frequency) - self.frequency
        self.lookup = np.repeat(np.arange(len(counts)), self.frequency)


def positions(
    coder: Any,
    shape: tuple[int, int],
    count: int,
    given: np.ndarray | None = None,
    *,
    by_above: bool = False,
    alive: Any = None,
) -> np.ndarray:
    """Code which `count` numbers of a matrix are not zero, a quarter of a row in a step or as many as there are lanes.

    Context: rate of non-zeros in the column so far times that in the row so far over that of the matrix; `by_above` also
    whether the number above is one: zeros that come in blocks. Columns of units that aren't `alive` are expected to be empty.
    """
    rows, columns = shape
    flags = np.full(shape, count > 0)
    if count in (0, rows * columns):
        return flags
    share, width = count / (rows * columns), min(coder.num_lanes, -(-columns // 4))
    seen = np.array(
        [(GUESS - int(GUESS * rate), int(GUESS * rate)) for rate in (1 + by_above) * CLASSES]
    )  # (zeros, others)
    in_column, contexts = np.zeros(columns), np.zeros(columns, np.int64)
    expected = _expected(columns, alive)
    for row in range(rows):
        column_rate, in_row = expected * (in_column + 2) / (row * share + 2), 0
        zero = SCALE - 1 - seen[:, 1] * (SCALE - 2) // (seen[:, 0] + seen[:, 1])
        for start in range(0, columns, width):
            block = slice(start, min(start + width, columns))
            row_rate = (in_row + 2) / (start * share + 2) * share
            context = _classes(column_rate[block] * row_rate)
            if by_above and row:
                context = context + len(CLASSES) * flags[row - 1, block]
            found = coder.flags(zero[context], None if given is None else given[row, block])
            flags[row, block], contexts[block] = found, context
            in_row += int(np.count_nonzero(found))
        seen += TRUST * np.bincount(2 * contexts + flags[row], minlength=2 * len(seen)).reshape(-1, 2)
        in_column += flags[row]
    return flags


def _expected(columns: int, alive: np.ndarray | None) -> np.ndarray:
    """Return how much fuller than the matrix each column is expected to be, by whether the unit that it reads is alive."""
    if alive is None or not alive.any() or alive.all() or columns % len(alive):
        return np.ones(columns)
    return np.repeat(np.where(alive, len(alive) / np.count_nonzero(alive), EMPTY), columns // len(alive))


def alive_units(before: np.ndarray | None, shape: tuple[int, ...], flags: np.ndarray) -> np.ndarray | None:
    """Return which outputs of a matrix have a weight that isn't zero; a vector leaves those of the matrix before it."""
    return np.asarray(flags.reshape(shape[0], -1).any(1)) if len(shape) > 1 and flags.size else before


def _classes(expected: np.ndarray) -> np.ndarray:
    """Return the class of each positive float64, the same on every machine: no logarithm is taken."""
    half_octaves = (expected.view(np.int64) >> 51) - 2 * (1023 - OCTAVES)
    return np.minimum(np.maximum(half_octaves, 0), 2 * OCTAVES - 1)


def symbols(coder: Any, alphabet: int, count: int, given: np.ndarray | None = None) -> np.ndarray:
    """Code `count` whole numbers below `alphabet` by their frequencies so far; steps grow with what is known."""
    found = np.zeros(count, np.int64)
    counts, done, renew = np.zeros(alphabet, np.int64), 0, 0
    while alphabet > 1 and done < count:
        if done >= renew:
            table, renew = Table(counts), done + 1 + done // 8
        step = slice(done, min(done + min(coder.num_lanes, 1 + done // 8), count))
        found[step] = coder.symbols(table, step.stop - done, None if given is None else given[step])
        counts += np.bincount(found[step], minlength=alphabet)
        done = step.stop
    return found


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (outputs, all the rest); few columns become few rows instead, since columns are coded side by side."""
    size = int(np.prod(shape))
    rows = shape[0] if len(shape) > 1 and size else 1
    columns = size // rows
    return (rows, columns) if columns >= min(rows, 32) else (1, size)


def read(data: bytes) -> tuple[bytes, dict[str, np.ndarray], dict[str, Cost]]:
    """Return the graph, the float32 tensors and what each takes; raises BadFile unless all is as written."""
    try:
        return _read(data)
    except BadFile:
        raise
    except (zlib.error, struct.error, ValueError, TypeError, LookupError, ArithmeticError, MemoryError) as error:
        raise BadFile(f"its numbers can't be read ({type(error).__name__}: {error})") from None


def _read(data: bytes) -> tuple[bytes, dict[str, np.ndarray], dict[str, Cost]]:
    header, about, graph = _header(data)
    body = data[FIXED + len(header) :]
    num_lanes, num_words = about["lanes"], about["words"]
    start = 4 * num_lanes + 2 * num_words
    if len(body) != start + about["raw"]:
        raise BadFile(f"{len(data):,} bytes, the header tells of {FIXED + len(header) + start + about['raw']:,}")
    lanes = Lanes(np.frombuffer(body, "<u4", num_lanes), np.frombuffer(body, "<u2", num_words, 4 * num_lanes))
    parts, alive = [], None
    for entry in about["tensors"]:
        parts.append(_parts(lanes, alive, *entry))
        alive = alive_units(alive, tuple(entry[1]), parts[-1][0])
    hidden = lanes.states - LOW
    if lanes.position != num_words or (hidden < 0).any() or (hidden >= LOW).any():
        raise BadFile("the coded numbers do not end where they should")
    raw = _Raw(hidden.astype("<u2").tobytes()[: about["hidden"]] + body[start:])
    digest, tensors, costs = hashlib.sha256(header), {}, {}
    for (name, shape, _, _), (flags, values, cost) in zip(about["tensors"], parts):
        bits = np.zeros(flags.size, np.uint32)
        bits[flags.ravel()] = values(raw)
        tensors[name], costs[name] = bits.view(np.float32).reshape(shape), cost
        digest.update(bits.data)
    told = data[len(MAGIC) : len(MAGIC) + DIGEST]
    if hidden.astype("<u2").tobytes()[about["hidden"] :].strip(b"\0") or digest.digest()[:DIGEST] != told:
        raise BadFile("the sha256 of what was read is not the one in the file")
    return graph, tensors, costs


def _header(data: bytes) -> tuple[bytes, dict[str, Any], bytes]:
    """Return the compressed header, what its first line says, and the graph."""
    if len(data) < FIXED or not data.startswith(MAGIC):
        raise BadFile("it does not begin like a model.coded of this version")
    (length,) = struct.unpack_from("<I", data, FIXED - 4)
    header = data[FIXED : FIXED + length]
    inflating = zlib.decompressobj(-zlib.MAX_WBITS, zdict=HINTS)
    line, _, graph = (inflating.decompress(header) + inflating.flush()).partition(b"\n")
    if not inflating.eof:
        raise BadFile("its header ends too early")
    about = json.loads(line)
    if min(about["words"], about["hidden"], about["raw"]) < 0 or not 1 <= about["lanes"] <= len(data):
        raise BadFile("its header does not fit its length")
    return header, about, graph


class _Raw:
    """Bytes that are taken from the front."""

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0

    def take(self, count: int) -> np.ndarray:
        self.position += count
        return np.frombuffer(self.data[self.position - count : self.position], np.uint8)

    def floats(self, count: int, width: int) -> np.ndarray:
        """Return float32 numbers that are written with `width` bytes each."""
        return self.take(count * width).view(f"<f{width}").astype(np.float32)


def _parts(
    lanes: Lanes, alive: np.ndarray | None, name: str, shape: list[int], count: int, kind: str
) -> tuple[np.ndarray, Any, Cost]:
    """Decode one tensor as far as the lanes go; the function returned adds the raw bytes, known when all are decoded."""
    begin = lanes.bits()
    if kind.startswith("i"):
        return _integers(lanes, shape, kind)
    flags = positions(lanes, matrix_shape(tuple(shape)), count, by_above=kind.endswith(BY_ABOVE), alive=alive)
    after, kind = lanes.bits(), kind.removesuffix(BY_ABOVE)
    if kind[0] in CODEBOOKS:
        size, width = int(kind[1:]), CODEBOOKS[kind[0]]
        indices = symbols(lanes, size, count)
        cost = Cost(after - begin, lanes.bits() - after, 0.0, 8 * width * size, size)
        return flags, lambda raw: raw.floats(size, width).view(np.uint32)[indices], cost
    planes = [symbols(lanes, 256, count).astype(np.uint8) if coded == "1" else None for coded in kind[1:]]
    cost = Cost(after - begin, 0.0, lanes.bits() - after + 8 * count * kind.count("0"), 0, None)
    return flags, lambda raw: joined([raw.take(count) if plane is None else plane for plane in planes]), cost


def _integers(lanes: Lanes, shape: list[int], kind: str) -> tuple[np.ndarray, Any, Cost]:
    """Decode integers of a grid: kind `i`, bits, `/`, group (0 = a whole row), and letters for how its scales are written."""
    begin = lanes.bits()
    bits, _, rest = kind[1:].partition("/")
    letters = rest.lstrip("0123456789")
    turned, width = "t" in letters, 2 if "h" in letters else 4
    rows, columns = shape[::-1] if turned else shape
    integers = symbols(lanes, 1 << int(bits), rows * columns).astype(np.uint8).reshape(rows, columns)
    group = int(rest.removesuffix(letters)) or columns
    num_groups = rows * -(-columns // group)
    zero_width = 1 if "z" in letters else 4 if "f" in letters else 0
    cost = Cost(0.0, lanes.bits() - begin, 0.0, 8 * num_groups * (width + zero_width), None, int(bits))

    def values(raw: _Raw) -> np.ndarray:
        scales = raw.floats(num_groups, width)
        zeros = raw.take(num_groups) if zero_width == 1 else raw.floats(num_groups, 4) if zero_width else None
        found = on_grid(integers, scales, zeros, bits=int(bits), group=group)
        return np.ascontiguousarray(found.T if turned else found).view(np.uint32).ravel()

    return np.ones(shape, bool), values, cost


def on_grid(integers: np.ndarray, scales: np.ndarray, zeros: np.ndarray | None, *, bits: int, group: int) -> np.ndarray:
    """Return (integer − zero) · scale as float32, shaped as `integers`; without zeros they are the grid's middle."""
    rows, columns = integers.shape
    middle = np.full(len(scales), 2.0 ** (bits - 1), np.float32)
    scales, zeros = (
        np.repeat(each.astype(np.float32).reshape(rows, -1), group, axis=1)[:, :columns]
        for each in (scales, middle if zeros is None else zeros)
    )
    return (integers.astype(np.float32) - zeros) * scales


def joined(planes: list[np.ndarray]) -> np.ndarray:
    """Return float32 bits from four byte planes of their rotated bits, exponents first."""
    rotated = np.stack(planes[::-1], axis=1).astype(np.uint8).copy().view("<u4").ravel()
    return (rotated >> 1) | (rotated << 31)


def with_weights(graph: bytes, tensors: dict[str, np.ndarray]) -> bytes:
    """Return the ONNX model with its weights: in protobuf, messages that follow one another are merged."""
    fields = b"".join(_field(5, _tensor(name, array)) for name, array in tensors.items())  # GraphProto.initializer
    return graph + _field(7, fields)  # ModelProto.graph


def _tensor(name: str, array: np.ndarray) -> bytes:
    dims = b"".join(b"\x08" + _varint(extent) for extent in array.shape)
    return dims + b"\x10\x01" + _field(8, name.encode()) + _field(9, array.astype("<f4").tobytes())


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    groups = []
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    return bytes([*groups, number])
