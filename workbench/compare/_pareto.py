"""The Pareto front over any number of axes: ties, duplicates and missing values are told, never dropped silently."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from workbench.errors import InvalidInput

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Front:
    """Who is on the front, and why the others are not; every given name is in exactly one of the first three."""

    members: tuple[str, ...]  # best first on the first axis; duplicates of a member are members too
    dominated_by: Mapping[str, str]  # name -> a member at least as good everywhere and better somewhere
    left_out: Mapping[str, str]  # name -> why it can't be placed
    duplicates: tuple[tuple[str, ...], ...] = ()  # groups of members with equal values on every axis

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def pareto(points: Mapping[str, Mapping[str, float | None]], axes: Mapping[str, Better]) -> Front:
    """Return the front of named points over `axes` (axis -> which direction is better).

    A point is dominated when another is at least as good on every axis and better on one. Equal points don't dominate
    each other: all stay, and are told as duplicates. A point without a finite value on an axis is left out.
    """
    _check(axes)
    left_out = {name: reason for name, values in points.items() if (reason := _why_left_out(values, axes))}
    placed = sorted(
        (tuple(float(values[axis]) * (-1 if better == "higher" else 1) for axis, better in axes.items()), name)  # type: ignore[arg-type]
        for name, values in points.items()
        if name not in left_out
    )
    members: list[tuple[tuple[float, ...], str]] = []
    dominated: dict[str, str] = {}
    front = np.empty((len(placed), len(axes)))
    for costs, name in placed:  # in this order a point can only be dominated by one before it, so by a member
        worse = (front[: len(members)] <= costs).all(axis=1) & (front[: len(members)] < costs).any(axis=1)
        if worse.any():
            dominated[name] = members[int(worse.argmax())][1]
        else:
            front[len(members)] = costs
            members.append((costs, name))
    return Front(tuple(name for _, name in members), dominated, left_out, _equal(members))


def _check(axes: Mapping[str, Better]) -> None:
    problems = [f"axis {axis!r}: better is 'lower' or 'higher', given {better!r}" for axis, better in axes.items()
                if better not in ("lower", "higher")]  # fmt: skip
    if len(axes) < 2:
        problems.append(f"a front needs two axes or more, given {list(axes)}")
    if problems:
        raise InvalidInput(problems)


def _why_left_out(values: Mapping[str, float | None], axes: Mapping[str, Better]) -> str:
    """Return why a point can't be placed; empty when it can."""
    missing = [axis for axis in axes if values.get(axis) is None]
    broken = [axis for axis in axes if axis not in missing and not math.isfinite(values[axis])]  # type: ignore[arg-type]
    reasons = [f"no {axis}" for axis in missing] + [f"{axis} is {values[axis]}" for axis in broken]
    return ", ".join(reasons)


def _equal(members: list[tuple[tuple[float, ...], str]]) -> tuple[tuple[str, ...], ...]:
    groups: dict[tuple[float, ...], list[str]] = {}
    for costs, name in members:
        groups.setdefault(costs, []).append(name)
    return tuple(tuple(names) for names in groups.values() if len(names) > 1)
