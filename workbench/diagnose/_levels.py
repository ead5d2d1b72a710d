"""A recipe in which layers differ: the levels that its steps give each layer are read, changed, and written again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench import catalog
from workbench.errors import InvalidInput
from workbench.part import Step

Record = dict[str, Any]


def apply_level(
    steps: Sequence[Record], *, layer: str, step_name: str, parameter: str, level: float | None, layers: Sequence[str]
) -> list[Record]:
    """Return the recipe in which `step_name` changes `layer` at `level`, and every other layer as before.

    `level` None leaves the layer as it is. Layers of one level share a step that skips all the others, so setting a level
    again replaces it. Of a step that stands in several places the first is set, and the others leave the layer alone. A
    step without strength (`parameter` "") takes the layer in at any level. `layers` are all prunable ones, in order.
    """
    step = _checked(step_name, layer, level, layers)
    before = [dict(record) for record in steps]
    start = next((i for i, record in enumerate(before) if record["use"] == step_name), None)
    if start is None:
        if level is None:
            return before
        start = _place_for(step, before)
        block: list[Record] = []
    else:
        block = _block(before[start:], step_name)
    later = before[start + len(block) :]
    general = {key: value for key, value in (block[0] if block else {"use": step_name}).items() if key != "skip"}
    wanted = None if level is None else {**general, parameter: level} if parameter else general
    groups = _grouped(block, layers)
    groups = [(record, [name for name in members if name != layer]) for record, members in groups]
    if wanted is not None:
        groups = _with_member(groups, wanted, layer)
    middle = [_written(record, members, layers) for record, members in groups if members]
    return before[:start] + middle + _leaving_alone(later, step_name, layer, layers)


def _checked(step_name: str, layer: str, level: float | None, layers: Sequence[str]) -> type[Step]:
    step = _step(step_name)
    problems = [] if layer in layers else [f"no layer {layer!r} that a step may change"]
    if "skip" not in step.model_fields:
        problems.append(f"{step_name} has no parameter skip: it treats all layers alike")
    if step.couples and level is not None:
        problems.append(f"{step_name} changes layers together, so {layer} can't have a strength of its own")
    if problems:
        raise InvalidInput(
            problems, next_move="keep the layer as it is, or change the whole step" if step.couples else ""
        )
    return step


def _step(name: str) -> type[Step]:
    step = catalog.get("compress", name)
    assert issubclass(step, Step)
    return step


def _place_for(step: type[Step], steps: Sequence[Record]) -> int:
    """Return where a new step goes: before what decides how numbers are stored; raises when it would decide that again."""
    deciding = next((place for place, record in enumerate(steps) if _step(record["use"]).precision), len(steps))
    if step.precision and deciding < len(steps):
        raise InvalidInput(
            [f"{steps[deciding]['use']} already decides how numbers are stored"],
            next_move=f"remove it before {step.name()}",
        )
    return deciding


def _block(steps: Sequence[Record], step_name: str) -> list[Record]:
    """Return the leading steps of this kind."""
    length = next((i for i, record in enumerate(steps) if record["use"] != step_name), len(steps))
    return list(steps[:length])


def _grouped(block: Sequence[Record], layers: Sequence[str]) -> list[tuple[Record, list[str]]]:
    """Return (step without skip, layers that it changes); a layer that several change belongs to the last."""
    groups: list[tuple[Record, list[str]]] = []
    for record in block:
        skip = record.get("skip", ())
        members = [name for name in layers if name not in skip]
        groups = [(each, [name for name in held if name not in members]) for each, held in groups]
        groups.append(({key: value for key, value in record.items() if key != "skip"}, members))
    return groups


def _with_member(
    groups: Sequence[tuple[Record, list[str]]], wanted: Record, layer: str
) -> list[tuple[Record, list[str]]]:
    """Add a layer to the group of its level, which is made when there is none."""
    full = catalog.make("compress", wanted)
    for index, (record, members) in enumerate(groups):
        if catalog.make("compress", record) == full:
            return [*groups[:index], (record, [*members, layer]), *groups[index + 1 :]]
    return [*groups, (wanted, [layer])]


def _written(record: Record, members: Sequence[str], layers: Sequence[str]) -> Record:
    return {**record, "skip": [name for name in layers if name not in members]}


def _leaving_alone(steps: Sequence[Record], step_name: str, layer: str, layers: Sequence[str]) -> list[Record]:
    """Return steps of which those of this kind skip the layer too; one that has nothing left to change is dropped."""
    found = []
    for record in steps:
        if record["use"] == step_name:
            skip = dict.fromkeys([*record.get("skip", ()), layer])
            record = {**record, "skip": [name for name in layers if name in skip]}
            if len(record["skip"]) == len(layers):
                continue
        found.append(record)
    return found
