"""What a shrinking would write, from headers alone: sizes before and after, and everything that stands against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import InvalidInput
from workbench.shrink import _recipe, _shards, _source
from workbench.shrink.shrink import SHARD_BYTES


@dataclass(frozen=True)
class Preview:
    """Bytes of the weights before and after; a file is what a kill can cost."""

    bytes_before: int
    bytes_after: int
    num_files: int
    num_tensors: int
    num_changed: int
    largest_bytes: int  # of one tensor of the source
    is_calibrated: bool  # steps look at activations, so a text is needed
    reasons: tuple[str, ...]  # why matrices stay as they are, each reason once


def preview(source: Path | str, steps: Sequence[Any]) -> Preview:
    """Look into a folder; raises InvalidInput as `shrink` would. Nothing is read but headers, nothing is written."""
    folder = Path(source).expanduser()
    if not folder.is_dir():
        raise InvalidInput([f"no folder {str(source)!r}: fetch the checkpoint first"])
    given = _source.read(folder)
    recipe = _recipe.read(steps, given)
    shards = _shards.plan(given, recipe, shard_bytes=SHARD_BYTES)
    tensors = [tensor for shard in shards for tensor in shard.tensors]
    changed = [tensor for tensor in tensors if tensor.changes or tensor.stores]
    reasons = dict.fromkeys(reason for tensor in tensors for reason in tensor.reasons)
    return Preview(
        given.num_bytes, sum(shard.num_bytes for shard in shards), len(shards), len(tensors), len(changed),
        max(tensor.stored.num_bytes for tensor in tensors), recipe.is_calibrated, tuple(reasons),
    )  # fmt: skip
