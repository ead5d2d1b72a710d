"""One tensor from its file through the steps to what is stored: read twice where a step ranks it, held in blocks of rows."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from workbench import _numbers
from workbench.errors import WorkbenchError
from workbench.shrink._shards import Tensor
from workbench.streamed import Blocks, Dense

BLOCK_VALUES = 1 << 18  # as float32 they stay in a core's cache
COPY_BYTES = 4 << 20

Put = Callable[[np.ndarray], None]
Advance = Callable[[int, str], None]  # bytes of the source, layer


def transform(tensor: Tensor, put: Put, advance: Advance) -> dict[str, Any] | None:
    """Write what becomes of one tensor; returns what to report of it, None when it is copied as it is."""
    stored = tensor.stored
    why_not = {"why_not": list(tensor.reasons)} if tensor.reasons else {}
    if not tensor.changes and not tensor.stores:
        for raw in _raw_blocks(tensor, COPY_BYTES):
            put(raw)
            advance(raw.nbytes, stored.name)
        return {"name": stored.name, **why_not} if why_not else None
    shape = (stored.shape[0], math.prod(stored.shape[1:])) if len(stored.shape) > 1 else (1, stored.num_values)
    changes = [stream.change(shape, stored.dtype) for stream in tensor.changes]
    stores = tensor.stores.keep(shape, stored.dtype) if tensor.stores else Dense(stored.dtype)
    for place, change in enumerate(changes):
        for _ in range(change.looks):
            for rows in _rows(tensor, shape):
                change.look(_changed(rows, changes[:place]))
            change.looked()
    sum_of_squares, num_zeros = 0.0, 0
    for rows in _rows(tensor, shape):
        changed = _changed(rows, changes)
        num_zeros += changed.size - int(np.count_nonzero(changed)) if changes else 0
        put(stores.store(changed, rows))
        sum_of_squares += float(np.dot(rows.ravel(), rows.ravel()))
        advance(rows.size * _numbers.FLOATS[stored.dtype].itemsize, stored.name)
    for piece in stores.rest():
        put(piece)
    told = {"name": stored.name, "bytes_before": stored.num_bytes, "bytes": tensor.num_bytes, **why_not}
    error = math.sqrt(stores.squared_error / sum_of_squares) if sum_of_squares else 0.0
    told["relative_error"] = error
    return {**told, "zeros": num_zeros / stored.num_values} if changes else told


def _changed(rows: np.ndarray, changes: Sequence[Blocks]) -> np.ndarray:
    for change in changes:
        rows = change.change(rows)
    return rows


def _rows(tensor: Tensor, shape: tuple[int, int]) -> Iterator[np.ndarray]:
    """Yield float32 blocks (rows, inputs) in order; raises WorkbenchError where a value is no number."""
    kind = _numbers.FLOATS[tensor.stored.dtype]
    num_rows = max(1, BLOCK_VALUES // max(1, shape[1]))
    for raw in _raw_blocks(tensor, num_rows * shape[1] * kind.itemsize):
        try:
            yield _numbers.widened(raw.view(kind).reshape(-1, shape[1]), tensor.stored.dtype)
        except WorkbenchError as error:
            raise WorkbenchError(
                f"{tensor.stored.name} {error.message}",
                next_move=f"check {tensor.path}: fetch it anew, or skip that layer",
            ) from None


def _raw_blocks(tensor: Tensor, block_bytes: int) -> Iterator[np.ndarray]:
    """Yield new arrays of bytes, in order; raises WorkbenchError when the file has become shorter."""
    stored = tensor.stored
    with tensor.path.open("rb", buffering=0) as file:
        for begin in range(0, stored.num_bytes, max(1, block_bytes)):
            raw = np.empty(min(block_bytes, stored.num_bytes - begin), np.uint8)
            if os.preadv(file.fileno(), [raw.data], stored.begin + begin) != raw.nbytes:
                raise WorkbenchError(f"{tensor.path} became shorter meanwhile", next_move="leave the source alone")
            yield raw
