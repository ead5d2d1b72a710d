"""The notebooks of a row, executed one after the other: the one that a batch is named after, and those that follow it.

They share the row's folder (`artifacts()`), its parameters and its record; each has a kernel of its own. A parameter that
several declare has one value for all of them: the given one, else the default of the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.batch._declared import declared, warnings
from workbench.batch.execute import not_python, read
from workbench.errors import InvalidInput
from workbench.params import ParamSpec

if TYPE_CHECKING:
    from nbformat import NotebookNode


@dataclass(frozen=True)
class Stage:
    """One notebook."""

    path: Path
    source: NotebookNode = field(repr=False)

    @cached_property
    def specs(self) -> tuple[ParamSpec, ...]:
        return declared(self.source)


def read_stages(first: Path, then: Sequence[str | Path] = ()) -> tuple[Stage, ...]:
    """Read notebooks, those after the first as seen from its folder; raises InvalidInput with every problem."""
    found: list[Stage] = []
    problems: list[str] = []
    for path in (first, *(first.parent / each for each in then)):
        try:
            found.append(Stage(path, read(path)))
            problems += [f"{path}: {each}" if then else each for each in not_python(found[-1].source)]
        except InvalidInput as error:
            problems += error.problems
    if problems or (problems := _conflicts(found)):
        raise InvalidInput(problems)
    return tuple(found)


def all_specs(stages: Sequence[Stage]) -> tuple[ParamSpec, ...]:
    """Return what the stages declare, each name once: as the first of them declares it."""
    return tuple({spec.name: spec for stage in reversed(stages) for spec in reversed(stage.specs)}.values())[::-1]


def all_warnings(stages: Sequence[Stage]) -> list[str]:
    """Return what of their parameters cells deceives, with the notebook's name where there are several."""
    named = len(stages) > 1
    return [f"{stage.path.name}: {each}" if named else each for stage in stages for each in warnings(stage.source)]


def given_to(stages: Sequence[Stage], given: Mapping[str, Any], values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what each stage is given: of what it declares, what was given, and what an earlier stage declares too."""
    if len(stages) == 1:
        return [dict(given)]
    told, earlier = [], set(given)
    for stage in stages:
        names = {spec.name for spec in stage.specs}
        told.append({name: value for name, value in values.items() if name in names & earlier})
        earlier |= names
    return told


def _conflicts(stages: Sequence[Stage]) -> list[str]:
    """Return the parameters of which two stages want different things."""
    first: dict[str, tuple[ParamSpec, Path]] = {}
    found = []
    for stage in stages:
        for spec in stage.specs:
            known, where = first.setdefault(spec.name, (spec, stage.path))
            if spec.kind and known.kind and spec.kind != known.kind:
                found.append(f"{spec.name} is {known.kind} in {where.name} and {spec.kind} in {stage.path.name}")
    return found
