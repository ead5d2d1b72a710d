"""What stands against picking a part, whatever its parameters are."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from workbench.errors import InvalidInput
from workbench.params import build, describe
from workbench.part import Part


def always_refused(part: type[Part], reasons_of: Callable[[Any], list[str]]) -> list[str]:
    """Return the reasons that hold for a part's defaults and also when one of its parameters is another.

    So `width is not a multiple of heads` doesn't count, since a person can still choose another width.
    """
    if missing := part.missing():
        return missing
    common: list[str] | None = None
    for variant in _variants(part):
        found = reasons_of(variant)
        common = found if common is None else [reason for reason in common if reason in found]
        if not common:
            return []
    return common or []  # without defaults nothing is known


def refused_list(what: str, reasons: Mapping[str, list[str]]) -> str:
    """Return HTML that folds out to the parts that can't be picked, each with its reasons; empty when there is none."""
    refused = {name: why for name, why in reasons.items() if why}
    if not refused:
        return ""
    items = "".join(f"<li><b>{name}</b>: {html.escape('; '.join(why))}</li>" for name, why in refused.items())
    summary = f"✗ {len(refused)} of {len(reasons)} {html.escape(what)}"
    return f'<details class="wb-refused"><summary>{summary}</summary><ul>{items}</ul></details>'


def _variants(part: type[Part]) -> Iterator[Part]:
    """Yield the part with its defaults, then with one parameter at a time at another end of what is legal."""
    for change in [{}, *_changes(part)]:
        try:
            yield build(part, change)
        except InvalidInput:
            continue  # a required parameter has no default, or a bound is exclusive


def _changes(part: type[Part]) -> Iterator[dict[str, Any]]:
    for spec in describe(part):
        ends = (spec.ge, spec.le, *(0.5 * bound for bound in (spec.lt, spec.le) if bound is not None))
        others = ends if spec.kind in ("int", "float") else spec.choices
        if spec.kind == "part":
            others = ("run:ID",)
        yield from ({spec.name: other} for other in others if other is not None)
