"""A secret projection of a weight matrix: how a mark is put into weights, and how it is looked for.

Bit b of a mark is the sign of Σ x_bi v_i, with secret x_bi = ±1 and v the weights, each row in units of its own size: a file
that scales whole rows (a normalisation folded in, int8 per channel) leaves it as it is, and 4 bits hardly move it.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np

KEY_BYTES = 32
KEY_FILE = "watermark-{}.key"
CHUNK = 1 << 16  # weights at a time: 128 bits of a chunk are 32 MB
WEIGHTS_PER_BIT = 16  # fewer carry a bit only by changing much
MAKE_ONE = "make one: workbench protect watermark keygen FOLDER"


@dataclass(frozen=True)
class MarkKey:
    """The secret of a mark; its id may be told to everybody, and says nothing of it."""

    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        return hashlib.sha256(b"watermark key" + self.secret).hexdigest()[:16]


def read_key(path: str | Path) -> MarkKey:
    """Return the key of a file whose name says its id; raises InvalidInput with what is wrong."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InvalidInput([f"key {path} can't be read ({error.strerror})"], next_move=MAKE_ONE) from None
    if not re.fullmatch(rb"[0-9a-f]{%d}\n" % (2 * KEY_BYTES), content):
        raise InvalidInput([f"{path} is no key of a watermark"], next_move=MAKE_ONE)
    key = MarkKey(bytes.fromhex(content.decode()))
    if Path(path).name != KEY_FILE.format(key.id):
        raise InvalidInput(
            [f"{path} holds key {key.id}: a job names its key by the file's name, so they must agree"],
            next_move=f"call it {KEY_FILE.format(key.id)} again",
        )
    return key


def bits_of(key: MarkKey, owner: str, num_bits: int) -> np.ndarray:
    """Return the mark, (bits,) of ±1: what this key makes of the owner's name."""
    return _signs(key, f"owner:{owner}", num_bits)


def projected(weight: np.ndarray, key: MarkKey, num_bits: int) -> np.ndarray:
    """Return (bits,): the projections of a weight, in standard deviations of those of an unmarked one."""
    import numpy as np

    values, _ = _in_own_units(weight)
    found = np.zeros(num_bits)
    for part, signs in _chunks(values.size, key, num_bits):
        found += signs @ values[part]
    return found / max(float(np.linalg.norm(values)), 1e-30)


def marked(weight: np.ndarray, key: MarkKey, bits: np.ndarray, *, strength: float) -> np.ndarray:
    """Return the weight (float32) with the smallest change that brings every bit to `strength` standard deviations.

    Exact zeros stay zero. The change is Xᵀ (X Xᵀ)⁻¹ (wanted − X v), in closed form (Uchida et al. train for it).
    """
    import numpy as np

    values, sizes = _in_own_units(weight)
    kept = values != 0
    gram, before = np.zeros((bits.size, bits.size)), np.zeros(bits.size)
    for part, signs in _chunks(values.size, key, bits.size):
        masked = signs * kept[part]
        gram += masked @ masked.T
        before += masked @ values[part]
    target = strength * float(np.linalg.norm(values))
    missing = np.where(before * bits < target, bits * target - before, 0.0)
    solved = np.linalg.solve(gram, missing).astype(np.float32)
    for part, signs in _chunks(values.size, key, bits.size):
        values[part] += (solved @ signs) * kept[part]
    return (values.reshape(len(weight), -1) * sizes).reshape(weight.shape).astype(np.float32)


def chance(num_right: int, num_bits: int) -> float:
    """Return how probable it is that guesses get at least so many bits right."""
    return sum(math.comb(num_bits, count) for count in range(num_right, num_bits + 1)) / 2**num_bits


def _in_own_units(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all weights, each row (axis 0) divided by its root mean square, as (weights,), and those sizes, (rows, 1)."""
    import numpy as np

    rows = weight.astype(np.float32).reshape(len(weight), -1)
    sizes = np.sqrt(np.mean(np.square(rows), axis=1, keepdims=True))
    return np.divide(rows, sizes, out=np.zeros_like(rows), where=sizes > 0).ravel(), sizes


def _chunks(count: int, key: MarkKey, num_bits: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield slices of the weights with their part of X, float32 (bits, ≤ CHUNK)."""
    import numpy as np

    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        rows = [_signs(key, f"x:{start}:{bit}", size) for bit in range(num_bits)]
        yield slice(start, start + size), np.stack(rows).astype(np.float32)


def _signs(key: MarkKey, of: str, count: int) -> np.ndarray:
    """Return int8 (count,) of ±1 that nobody can tell without the key."""
    import numpy as np

    stream = hashlib.shake_256(key.secret + of.encode()).digest(-(-count // 8))
    return np.unpackbits(np.frombuffer(stream, np.uint8), count=count).astype(np.int8) * 2 - 1
