"""The one way from a checkpoint to a smaller one. Memory holds a block of rows, whatever the model's size."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench._safetensors import INDEX
from workbench.errors import InvalidInput, WorkbenchError
from workbench.shrink import _convention, _recipe, _shards, _source, _writing
from workbench.shrink._journal import Journal, write_json
from workbench.shrink._shards import Shard
from workbench.shrink._under_way import Clock, OnProgress, Work, alone

if TYPE_CHECKING:
    import numpy as np

SHARD_BYTES = 2_000_000_000  # of the source that go into one file: what a kill can cost


@dataclass(frozen=True)
class Calibration:
    """A text that steps which look at activations see, by the tokenizer of the source."""

    file: Path
    length: int = 512  # tokens of one text
    num_texts: int = 128


def shrink(
    source: Path | str,
    destination: Path | str,
    steps: Sequence[Any],
    *,
    shard_bytes: int = SHARD_BYTES,
    calibration: Calibration | None = None,
    on_progress: OnProgress = lambda progress: None,
) -> dict[str, Any]:
    """Write `source`, changed by the steps, into `destination`, and return the record that is also its shrink.json.

    Steps are records or names of parts in `compress/`; those that look at activations go block by block, need a `calibration`
    and make a file of each block. The same call goes on where it was stopped or killed; finished files are
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
    job: dict[str, Any] = {"fingerprint": given.fingerprint, "steps": recipe.records, "shard_bytes": shard_bytes}
    texts = None
    if recipe.is_calibrated:
        texts = _texts_for(given, calibration)
        job |= {"calibration": hashlib.sha256(texts.tobytes()).hexdigest(), "texts": list(texts.shape)}
    with alone(into):
        journal = Journal(into, job)
        left = [shard for shard in shards if not _is_there(into, shard, journal)]
        _check_room(into, left)
        work = Work(into, shards, left, journal, Clock(given.num_bytes, on_progress))
        if texts is None:
            work.write_all()
        else:
            _calibrated(given, recipe, texts, work)
        return _finish(into, given, recipe, shards, journal)


def _calibrated(given: _source.Source, recipe: _recipe.Recipe, texts: np.ndarray, work: Work) -> None:
    from workbench.shrink import _calibrating

    if work.left:
        _calibrating.carry_out(given, recipe, texts, work)


def _texts_for(given: _source.Source, calibration: Calibration | None) -> np.ndarray:
    """Return the tokens to calibrate on; torch and transformers are needed from here on."""
    from workbench.shrink import _model, _texts

    if calibration is None:
        raise InvalidInput(
            ["a step looks at activations: give a text to calibrate on"], next_move="--calibration FILE.txt"
        )
    if given.config.get("model_type") not in _model.KNOWN:
        known = ", ".join(_model.KNOWN)
        raise InvalidInput([f"steps that look at activations know {known}, not {given.config.get('model_type')!r}"])
    return _texts.tokens(given.folder, calibration.file, length=calibration.length, num_texts=calibration.num_texts)


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
