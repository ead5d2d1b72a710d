"""The one way from a checkpoint to a smaller one. Memory holds a block of rows, whatever the model's size."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import _lock
from workbench._safetensors import INDEX
from workbench.errors import InvalidInput, WorkbenchError
from workbench.shrink import _convention, _recipe, _shards, _source, _transforming, _writing
from workbench.shrink._journal import Journal, write_json
from workbench.shrink._shards import Shard

SURE_AFTER = 2.0  # seconds; kernels are compiled in the first ones
SHARD_BYTES = 2_000_000_000  # of the source that go into one file: what a kill can cost


@dataclass(frozen=True)
class Progress:
    """How far it is, in bytes of the source."""

    done: int
    total: int
    eta_seconds: float | None  # None = not known yet
    layer: str


OnProgress = Callable[[Progress], None]


def shrink(
    source: Path | str,
    destination: Path | str,
    steps: Sequence[Any],
    *,
    shard_bytes: int = SHARD_BYTES,
    on_progress: OnProgress = lambda progress: None,
) -> dict[str, Any]:
    """Write `source`, changed by the steps, into `destination`, and return the record that is also its shrink.json.

    Steps are records or names of parts in `compress/`. The same call goes on where it was stopped or killed; finished files are
    held against their hashes. Raises InvalidInput for what can't be done, WorkbenchError for a full disk or weights that
    are no numbers; the source is only read.
    """
    folder, into = Path(source).expanduser(), Path(destination).expanduser()
    if not folder.is_dir():
        raise InvalidInput([f"no folder {str(source)!r}: fetch the checkpoint first"])
    if folder.resolve() == into.resolve():
        raise InvalidInput([f"{into} is the source itself"], next_move="give a new folder")
    given = _source.read(folder)
    recipe = _recipe.read(steps, given)
    shards = _shards.plan(given, recipe, shard_bytes=shard_bytes)
    job = {"fingerprint": given.fingerprint, "steps": list(recipe.records), "shard_bytes": shard_bytes}
    with _alone(into):
        journal = Journal(into, job)
        left = [shard for shard in shards if not _is_there(into, shard, journal)]
        _check_room(into, left)
        clock = _Clock(given.num_bytes, on_progress)
        for shard in shards:
            if shard in left:
                journal.add(shard.name, _write(into / shard.name, shard, clock))
            else:
                clock.skip(shard)
        return _finish(into, given, recipe, shards, journal)


class _alone:  # noqa: N801
    """Holds a destination; a second process is refused."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file = (self.folder / ".lock").open("wb")
        if not _lock.take(self._file, wait=False):
            self._file.close()
            raise InvalidInput([f"another process is writing {self.folder}"], next_move="wait for it, or end it")

    def __exit__(self, *_: object) -> None:
        self._file.close()


class _Clock:
    """Tells progress, at most ten times a second."""

    def __init__(self, total: int, tell: OnProgress) -> None:
        self.total, self.tell = total, tell
        self.done = self.skipped = 0
        self.began = self.told = time.monotonic()

    def skip(self, shard: Shard) -> None:
        self.done += sum(tensor.stored.num_bytes for tensor in shard.tensors)
        self.skipped = self.done

    def add(self, num_bytes: int, layer: str) -> None:
        self.done += num_bytes
        now = time.monotonic()
        if now - self.told < 0.1 and self.done < self.total:
            return
        self.told = now
        new = self.done - self.skipped
        eta = (now - self.began) / new * (self.total - self.done) if new and now - self.began > SURE_AFTER else None
        self.tell(Progress(self.done, self.total, eta, layer))


def _is_there(folder: Path, shard: Shard, journal: Journal) -> bool:
    """Say whether a file was finished and still has its hash."""
    told, path = journal.record["shards"].get(shard.name), folder / shard.name
    if not told or not path.is_file() or path.stat().st_size != told["bytes"]:
        return False
    return _writing.sha256_of(path) == told["sha256"]


def _check_room(folder: Path, shards: Sequence[Shard]) -> None:
    needed, free = sum(shard.num_bytes for shard in shards), shutil.disk_usage(folder).free
    if needed > free:
        raise WorkbenchError(
            f"{folder} has room for {free:,} bytes, and {needed:,} are to be written",
            next_move="free room, or give a destination on another disk; nothing was written",
        )


def _write(path: Path, shard: Shard, clock: _Clock) -> dict[str, Any]:
    layers = []
    try:
        with _writing.Writer(path) as writer:
            writer.put(shard.header())
            for tensor in shard.tensors:
                layers.append(_transforming.transform(tensor, writer.put, clock.add))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise
        raise WorkbenchError(
            f"{path} can't be written: {error.strerror}", next_move="free room and run the same again"
        ) from error
    return {"bytes": writer.num_bytes, "sha256": writer.sha256, "layers": [layer for layer in layers if layer]}


def _finish(
    into: Path, given: _source.Source, recipe: _recipe.Recipe, shards: Sequence[Shard], journal: Journal
) -> dict[str, Any]:
    """Write what makes a folder of shards a checkpoint, config.json last: without it nothing opens."""
    try:
        for path in _source.alongside(given.folder):
            shutil.copyfile(path, into / path.name)
        if len(shards) > 1:
            write_json(into / INDEX, _shards.index(shards))
        num_bytes = sum(shard.num_bytes for shard in shards)
        journal.record |= {"bytes_before": given.num_bytes, "bytes": num_bytes, "finished": True}
        write_json(into / _source.CONFIG, _convention.config(given, recipe, shards))
        journal.write()
    except OSError as error:
        raise WorkbenchError(
            f"{into} can't be written: {error.strerror}", next_move="free room and run the same again"
        ) from error
    return journal.record
