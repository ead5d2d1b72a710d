"""A shrinking under way: who holds the destination, how far it is, and the writing of one file after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import _lock
from workbench.errors import InvalidInput
from workbench.shrink import _transforming, _writing
from workbench.shrink._journal import Journal
from workbench.shrink._shards import Shard

SURE_AFTER = 2.0  # seconds; kernels are compiled in the first ones


@dataclass(frozen=True)
class Progress:
    """How far it is, in bytes of the source."""

    done: int
    total: int
    eta_seconds: float | None  # None = not known yet
    layer: str


OnProgress = Callable[[Progress], None]


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a destination, which is made; a second process is refused."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("wb") as file:
        if not _lock.take(file, wait=False):
            raise InvalidInput([f"another process is writing {folder}"], next_move="wait for it, or end it")
        yield


class Clock:
    """Tells progress, at most ten times a second."""

    def __init__(self, total: int, tell: OnProgress) -> None:
        self.total, self.tell = total, tell
        self.done = self.skipped = 0
        self.began = self.told = time.monotonic()

    def skip(self, shard: Shard) -> None:
        self.done += shard.source_bytes
        self.skipped += shard.source_bytes

    def add(self, num_bytes: int, layer: str) -> None:
        self.done += num_bytes
        now = time.monotonic()
        if now - self.told < 0.1 and self.done < self.total:
            return
        self.told = now
        new = self.done - self.skipped
        eta = (now - self.began) / new * (self.total - self.done) if new and now - self.began > SURE_AFTER else None
        self.tell(Progress(self.done, self.total, eta, layer))


@dataclass(frozen=True)
class Work:
    """What is to be written where, and what of it is left."""

    into: Path
    shards: Sequence[Shard]
    left: Sequence[Shard]
    journal: Journal
    clock: Clock

    def write_all(self) -> None:
        for shard in self.shards:
            if shard in self.left:
                self.write(shard)
            else:
                self.clock.skip(shard)

    def write(self, shard: Shard) -> None:
        """Write a file whose every tensor is changed on its own, and note it."""
        with _writing.Writer(self.into / shard.name) as writer:
            writer.put(shard.header())
            layers = [_transforming.transform(tensor, writer.put, self.clock.add) for tensor in shard.tensors]
        self.note(shard, writer, layers)

    def note(self, shard: Shard, writer: _writing.Writer, layers: Sequence[dict[str, Any] | None]) -> None:
        told = [layer for layer in layers if layer]
        self.journal.add(shard.name, {"bytes": writer.num_bytes, "sha256": writer.sha256, "layers": told})
