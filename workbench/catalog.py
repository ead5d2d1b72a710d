"""Finds parts by their folder. Adding a file adds a part; there is no list to edit."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any

from workbench.errors import InvalidInput
from workbench.params import build, describe, did_you_mean
from workbench.part import FAMILIES, Part, class_matches_file


@cache
def names(family: str) -> tuple[str, ...]:
    """Return the names of all parts of a family, sorted."""
    if family not in FAMILIES:
        raise InvalidInput([f"no family {family!r}{did_you_mean(family, FAMILIES)}"])
    folder = Path(__file__).parent / family
    return tuple(sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")))


@cache
def get(family: str, name: str) -> type[Part]:
    """Return the class of one part; a part file that is broken raises here, loudly."""
    if name not in names(family):
        raise InvalidInput(
            [f"no {family} part {name!r}{did_you_mean(name, names(family))}"], next_move=f"workbench parts {family}"
        )
    module = importlib.import_module(f"workbench.{family}.{name}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, FAMILIES[family]) and value.__module__ == module.__name__
    ]
    assert len(found) == 1, f"{module.__name__} must define exactly one {FAMILIES[family].__name__}, has {found}"
    assert class_matches_file(found[0], name), f"{found[0].__name__} must be named after its file {name}.py"
    return found[0]


def parts(family: str) -> tuple[type[Part], ...]:
    """Return every part class of a family."""
    return tuple(get(family, name) for name in names(family))


def make(family: str, record: Any, *, where: str = "") -> Part:
    """Make a part from `{"use": name, …}` or a bare name; raises InvalidInput with every problem found."""
    place = where or family
    if isinstance(record, FAMILIES[family]):
        return record
    if isinstance(record, str):
        record = {"use": record}
    if not isinstance(record, dict) or not isinstance(record.get("use"), str):
        raise InvalidInput([f'{place}: expected {{"use": NAME, …}}, given {record!r}'])
    values = {key: value for key, value in record.items() if key != "use"}
    try:
        cls = get(family, record["use"])
    except InvalidInput as error:
        raise InvalidInput([f"{place}: {problem}" for problem in error.problems], next_move=error.next_move) from None
    nested, problems = _made_nested(cls, values, place)
    filled = {**values, **{key: inner.to_json() for key, inner in nested.items()}}
    try:
        part = build(cls, filled, where=place)
    except InvalidInput as error:
        raise InvalidInput([*problems, *error.problems]) from None
    if problems := problems or [f"{place}.{problem}" for problem in part.problems_with(nested)]:
        raise InvalidInput(problems)
    return part


def _made_nested(cls: type[Part], values: dict[str, Any], place: str) -> tuple[dict[str, Part], list[str]]:
    """Make the parameters that are parts themselves, defaults too, so that hashes see every value; and what is wrong."""
    found: dict[str, Part] = {}
    problems: list[str] = []
    for spec in describe(cls):
        value = values.get(spec.name, spec.default)
        if not spec.part or value is None or (isinstance(value, str) and value.startswith("run:")):
            continue
        try:
            found[spec.name] = make(spec.part, value, where=f"{place}.{spec.name}")
        except InvalidInput as error:
            problems += error.problems
    return found, problems
