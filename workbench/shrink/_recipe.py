"""The steps of a shrinking: which can work on a checkpoint tensor by tensor, in which order, and on which tensors."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from workbench import catalog
from workbench._numbers import FLOATS
from workbench._safetensors import Stored
from workbench.errors import InvalidInput
from workbench.params import did_you_mean
from workbench.part import Step
from workbench.shrink import _source
from workbench.shrink._source import Source
from workbench.streamed import Streamed


@dataclass(frozen=True)
class Recipe:
    """Steps that change values, then at most one that decides how they are stored."""

    parts: tuple[Step, ...]
    changes: tuple[Streamed, ...]
    stores: Streamed | None  # None = as they were

    @property
    def is_calibrated(self) -> bool:
        return any(stream.calibrated for stream in (*self.changes, *([self.stores] if self.stores else [])))

    @property
    def records(self) -> list[dict[str, Any]]:
        return [part.to_json() for part in self.parts]


def read(steps: Sequence[Any], source: Source) -> Recipe:
    """Return the recipe of step records; raises InvalidInput with every reason against it."""
    parts = [cast("Step", catalog.make("compress", each, where=f"step {index}")) for index, each in enumerate(steps)]
    streams, problems = [], []
    for part in parts:
        stream = part.stream()
        if isinstance(stream, Streamed):
            streams.append(stream)
        else:
            problems.append(stream)
    stored = [index for index, stream in enumerate(streams) if stream.stores]
    if stored and stored != [len(streams) - 1]:
        problems.append("the step that decides how numbers are stored is one, and the last")
    if not parts:
        problems.append("no step")
    if source.config.get("model_type") in _source.TURNED and any(not stream.whole for stream in streams):
        problems.append(f"{source.config['model_type']} stores its matrices the other way round; only casts work on it")
    problems += [problem for stream in streams for problem in _unknown(stream, source)]
    if problems:
        raise InvalidInput(problems, next_move="workbench shrink --help lists the steps that work on checkpoints")
    changes = tuple(stream for stream in streams if not stream.stores)
    return Recipe(tuple(parts), changes, streams[-1] if stored else None)


def reason_to_stay(stream: Streamed, stored: Stored) -> str:
    """Return why a step leaves a tensor alone: empty when it doesn't; a single blank when nobody would expect it to."""
    if stream.whole:
        return "" if stored.dtype in FLOATS else " "
    if not _source.is_matrix(stored):
        return " "
    layer = _source.layer_of(stored)
    if any(fnmatch.fnmatchcase(layer, pattern) for pattern in stream.skip):
        return "skipped"
    return stream.why_not(stored.shape)


def _unknown(stream: Streamed, source: Source) -> list[str]:
    layers = [_source.layer_of(stored) for _, stored in source.tensors if _source.is_matrix(stored)]
    return [
        f"skip: no layer is called {pattern!r}{did_you_mean(pattern, layers)}"
        for pattern in stream.skip
        if not fnmatch.filter(layers, pattern)
    ]
