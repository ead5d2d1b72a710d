"""Parts as people type them: `train epochs=20`, `distill teacher.use=resnet teacher.depth=18`, `distill teacher=run:ID`."""

from __future__ import annotations

import json
import shlex
from typing import Any

from workbench import catalog
from workbench.errors import InvalidInput
from workbench.params import ParamSpec, describe, parse_value
from workbench.part import Part


def part_record(family: str, text: str, *, where: str = "") -> dict[str, Any]:
    """Return `{"use": name, …}` for a typed part, values turned into the declared kinds.

    Words are split as in a shell, so a value with blanks is quoted; a dot leads into a nested part. Raises InvalidInput
    for text that isn't NAME KEY=VALUE…; whether names and values are legal is left to `catalog.make`.
    """
    place = where or family
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InvalidInput([f"{place}: {error} in {text!r}"]) from None
    if not words or "=" in words[0]:
        raise InvalidInput(
            [f"{place}: expected NAME KEY=VALUE…, given {text!r}"], next_move=f"workbench parts {family}"
        )
    odd = [word for word in words[1:] if "=" not in word.strip("=")]
    if odd:
        raise InvalidInput([f"{place}: expected KEY=VALUE, given {word!r}" for word in odd])
    typed = dict(word.split("=", 1) for word in words[1:])
    return _typed(family, {"use": words[0], **_nested(typed, place)})


def _nested(typed: dict[str, str], place: str) -> dict[str, Any]:
    """Turn `{"teacher.use": "resnet", "teacher.depth": "18"}` into nested mappings of text."""
    found: dict[str, Any] = {}
    for key, value in typed.items():
        *outer, last = key.split(".")
        inner = found
        for name in outer:
            inner = inner.setdefault(name, {})
            if not isinstance(inner, dict):
                raise InvalidInput([f"{place}: {name!r} has a value of its own and values inside"])
        if isinstance(inner.get(last), dict):
            raise InvalidInput([f"{place}: {last!r} has a value of its own and values inside"])
        inner[last] = value
    return found


def _typed(family: str, record: dict[str, Any]) -> dict[str, Any]:
    """Turn text into values as the part declares them; a part or name that isn't known keeps its text."""
    name = record.get("use")
    if name not in catalog.names(family):
        return record
    part = catalog.get(family, str(name))
    specs = {spec.name: spec for spec in describe(part)}
    values: dict[str, Any] = {}
    for key, value in record.items():
        spec = specs.get(part.renamed.get(key, key))
        if spec is None or key == "use":
            values[key] = value
        elif isinstance(value, dict):
            values[key] = (
                _typed(spec.part, value) if spec.part else {name: _plain(text) for name, text in value.items()}
            )
        else:
            values[key] = parse_value(spec, value)
    return values


def _plain(text: Any) -> Any:
    """Return the JSON value that an entry of a mapping spells, else the text itself."""
    try:
        return json.loads(text) if isinstance(text, str) else text
    except json.JSONDecodeError:
        return text


def part_words(part: Part) -> str:
    """Return the text that `part_record` reads back as this part; what has its default value is left out.

    Raises InvalidInput for the rare value that no words spell, such as an entry of a list that holds a comma.
    """
    given = [f"{place}={text}" for place, text in _spelled(part)]
    text = shlex.join([part.name(), *given])
    if catalog.make(part.family, part_record(part.family, text)).to_json() != part.to_json():
        raise InvalidInput([f"{part.name()}: {part.to_json()} can't be written as words"], next_move="use its JSON")
    return text


def part_short(part: Part) -> dict[str, Any]:
    """Return the record of a part without what has its default value; parts inside are shortened too."""
    short: dict[str, Any] = {"use": part.name()}
    for spec, value in _changed(part):
        inner = _inner(spec, value)
        short[spec.name] = part_short(inner) if inner else value
    return short


def _changed(part: Part) -> list[tuple[ParamSpec, Any]]:
    """Return the parameters that aren't at their default, with their values as in JSON."""
    values, plain = part.model_dump(), part.model_dump(mode="json")
    return [
        (spec, plain[spec.name]) for spec in describe(type(part)) if spec.required or values[spec.name] != spec.default
    ]


def _inner(spec: ParamSpec, value: Any) -> Part | None:
    """Return the part that a value describes; None when it is a plain value or a run."""
    return catalog.make(spec.part, value) if spec.part and isinstance(value, dict) else None


def _spelled(part: Part) -> list[tuple[str, str]]:
    """Return (name, text) of each parameter that isn't at its default, dotted where it lies inside another."""
    found: list[tuple[str, str]] = []
    for spec, value in _changed(part):
        inner = _inner(spec, value)
        if inner:
            within = [(f"{spec.name}.{name}", text) for name, text in _spelled(inner)]
            found += [(f"{spec.name}.use", inner.name()), *within] if within else [(spec.name, inner.name())]
        elif isinstance(value, dict):
            found += [(f"{spec.name}.{name}", json.dumps(each)) for name, each in value.items()]
        else:
            found.append((spec.name, _text(value)))
    return found


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or ","  # a comma alone: a list without entries
    return value if isinstance(value, str) else json.dumps(value)
