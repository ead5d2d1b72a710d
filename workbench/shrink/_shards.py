"""What will be written: which tensors come of each one of the source, and in which files they lie."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench._safetensors import BITS, Stored
from workbench.errors import InvalidInput
from workbench.shrink import _recipe, _source
from workbench.shrink._recipe import Recipe
from workbench.shrink._source import Source
from workbench.streamed import Piece, Streamed

BLOCK = re.compile(r"model\.layers\.(\d+)\.")
ALIGNMENT = 8  # bytes that a header is padded to with blanks, as the format asks


@dataclass(frozen=True)
class Tensor:
    """One tensor of the source and what becomes of it."""

    path: Path
    stored: Stored
    changes: tuple[Streamed, ...]
    stores: Streamed | None  # None = stored as it was
    pieces: tuple[Piece, ...]
    reasons: tuple[str, ...]  # why steps left it alone though it is a matrix

    def names(self) -> list[str]:
        if len(self.pieces) == 1 and self.pieces[0].suffix == "weight":
            return [self.stored.name]
        layer = _source.layer_of(self.stored)
        return [f"{layer}.{piece.suffix}" for piece in self.pieces]

    @property
    def num_bytes(self) -> int:
        return sum(map(num_bytes, self.pieces))


@dataclass(frozen=True)
class Shard:
    """One file to write."""

    name: str
    tensors: tuple[Tensor, ...]

    def header(self) -> bytes:
        entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        end = 0
        for tensor in self.tensors:
            for name, piece in zip(tensor.names(), tensor.pieces):
                begin, end = end, end + num_bytes(piece)
                entries[name] = {"dtype": piece.dtype, "shape": list(piece.shape), "data_offsets": [begin, end]}
        text = json.dumps(entries, separators=(",", ":")).encode()
        text += b" " * (-len(text) % ALIGNMENT)
        return len(text).to_bytes(8, "little") + text

    @property
    def source_bytes(self) -> int:
        return sum(tensor.stored.num_bytes for tensor in self.tensors)

    @property
    def num_bytes(self) -> int:
        return len(self.header()) + sum(tensor.num_bytes for tensor in self.tensors)


def num_bytes(piece: Piece) -> int:
    return BITS[piece.dtype] * math.prod(piece.shape) // 8


def plan(source: Source, recipe: Recipe, *, shard_bytes: int) -> tuple[Shard, ...]:
    """Return the files in order, each of at most `shard_bytes` of the source unless one tensor alone has more.

    Raises InvalidInput when nothing would change.
    """
    tensors = [_tensor(path, stored, recipe) for path, stored in source.tensors]
    if not any(map(_is_changed, tensors)):
        reasons = sorted({reason for tensor in tensors for reason in tensor.reasons})
        raise InvalidInput([f"nothing in {source.folder} would change{': ' if reasons else ''}{'; '.join(reasons)}"])
    parts = _by_block(tensors) if recipe.is_calibrated else list(_parted(tensors, shard_bytes))
    if len(parts) == 1:
        return (Shard("model.safetensors", tuple(parts[0])),)
    return tuple(
        Shard(f"model-{index + 1:05}-of-{len(parts):05}.safetensors", tuple(part)) for index, part in enumerate(parts)
    )


def index(shards: Sequence[Shard]) -> Mapping[str, Any]:
    """Return the index of a checkpoint in several files."""
    total = sum(tensor.num_bytes for shard in shards for tensor in shard.tensors)
    where = {name: shard.name for shard in shards for tensor in shard.tensors for name in tensor.names()}
    return {"metadata": {"total_size": total}, "weight_map": where}


def _parted(tensors: Sequence[Tensor], shard_bytes: int) -> Iterator[list[Tensor]]:
    part: list[Tensor] = []
    for tensor in tensors:
        if part and sum(each.stored.num_bytes for each in part) + tensor.stored.num_bytes > shard_bytes:
            yield part
            part = []
        part.append(tensor)
    yield part


def _by_block(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """Return what lies outside of the blocks, then each block; its norms may be changed with its matrices."""
    blocks: dict[int, list[Tensor]] = {-1: []}
    for tensor in tensors:
        found = BLOCK.match(tensor.stored.name)
        blocks.setdefault(int(found[1]) if found else -1, []).append(tensor)
    return [blocks[index] for index in sorted(blocks)]


def _is_changed(tensor: Tensor) -> bool:
    return bool(tensor.changes) or [(piece.suffix, piece.dtype) for piece in tensor.pieces] != [
        ("weight", tensor.stored.dtype)
    ]


def _tensor(path: Path, stored: Stored, recipe: Recipe) -> Tensor:
    every = [*recipe.changes, *([recipe.stores] if recipe.stores else [])]
    reasons = {id(stream): _recipe.reason_to_stay(stream, stored) for stream in every}
    changes = tuple(stream for stream in recipe.changes if not reasons[id(stream)])
    stores = recipe.stores if recipe.stores and not reasons[id(recipe.stores)] else None
    pieces = stores.pieces(stored.shape, stored.dtype) if stores else (Piece("weight", stored.dtype, stored.shape),)
    told = tuple(reason for reason in reasons.values() if reason.strip())
    return Tensor(path, stored, changes, stores, pieces, told)
