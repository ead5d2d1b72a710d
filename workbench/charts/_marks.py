"""What a scatter shows beside its points: lines between them, budgets, and what a person picked."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.charts import _points, _style

if TYPE_CHECKING:
    from workbench.charts.pareto import ParetoData, Point


@dataclass(frozen=True)
class Marks:
    """Run ids that are to stand out or back, by shape as well as colour; empty = none."""

    selected: Collection[str] = ()  # a ring
    dimmed: Collection[str] = ()  # faded and small: outside the budgets
    recommended: str = ""  # a large star around it, with its name
    a: str = ""  # the two that are compared, lettered
    b: str = ""

    @property
    def is_anything(self) -> bool:
        return bool(self.selected or self.dimmed or self.recommended or self.a or self.b)


NOTHING = Marks()


def lines(data: ParetoData, shown: Sequence[Point], join_parents: bool) -> list[dict[str, Any]]:
    """Return the traces of lines: to parents, the front, from a measurement to what was estimated before."""
    places = {point.run_id: point for point in data.points if not point.estimated}
    parents = [(point, places[point.parent]) for point in shown if point.parent in places] if join_parents else []
    became = [(point, places[point.became]) for point in data.points if point.became in places]
    faint = {"line": {"color": _style.FAINT, "width": 0.7}, "opacity": 0.35, "uid": "parents"}
    off = {"line": {"color": _style.INK, "width": 1.2, "dash": "dot"}, "uid": "errors"}
    return [
        {**_segments(parents), **faint, "showlegend": False, "hoverinfo": "skip"},
        {**_front_line(data), "name": "Pareto front", "hoverinfo": "skip", "uid": "front"},
        {**_segments(became), **off, "name": "estimate → measured", "showlegend": bool(became), "hoverinfo": "skip"},
    ]


def overlays(shown: Sequence[Point], marks: Marks) -> list[dict[str, Any]]:
    """Return the traces of rings and letters, drawn under the points so that these keep the pointer."""
    chosen = frozenset(marks.selected)
    special = {point.run_id: point for point in shown if point.run_id in {marks.recommended, marks.a, marks.b}}
    ink = {"color": _style.INK, "line": {"color": _style.INK, "width": 2}}
    gold = {"symbol": "star", "size": 34, "color": "#F7E3A1", "line": {"color": _style.INK, "width": 1}}
    ring = {"symbol": "circle-open", "size": 24, **ink}
    square = {"symbol": "square-open", "size": 22, **ink}
    recommended = [special[marks.recommended]] if marks.recommended in special else []
    return [
        _ring("recommended", recommended, gold, text=["recommended"], where="bottom center"),
        _ring("selected", [point for point in shown if point.run_id in chosen], ring),
        _ring("A, compared with B", [special[marks.a]] if marks.a in special else [], square, ["<b>A</b>"], "top left"),
        _ring("B", [special[marks.b]] if marks.b in special else [], square, ["<b>B</b>"], "top right"),
    ]


def shapes(data: ParetoData) -> list[dict[str, Any]]:
    """Return the budgets as lines, and a band across the plot for an estimate of one axis only."""
    line = {"color": _style.WORSE, "dash": "dash", "width": 1.2}
    found = [{**_across(name, limit, limit), "type": "line", "line": line} for name, limit in _limits(data)]
    for point in data.points:
        for unknown, known, band in (("y", "x", point.x_interval), ("x", "y", point.y_interval)):
            if unknown in point.unknown and known not in point.unknown and not point.became:
                low, high = band or (getattr(point, known),) * 2
                look = {
                    "fillcolor": _style.FAINT,
                    "opacity": 0.18,
                    "layer": "below",
                    "line": {"width": 1, "dash": "dot"},
                }
                found.append({**_across(known, low, high), "type": "rect", **look})
    return found


def notes(data: ParetoData) -> list[dict[str, Any]]:
    """Return the word at each budget, and what the area of a marker says."""
    values = {"x": [point.x for point in data.points], "y": [point.y for point in data.points]}
    found = []
    for name, limit in _limits(data):
        at = math.log10(limit) if _points.is_log(getattr(data, name), values[name]) and limit > 0 else limit
        where = (
            {"x": at, "xref": "x", "y": 1, "yref": "paper", "yanchor": "top", "xanchor": "left"} if name == "x"
            else {"y": at, "yref": "y", "x": 1, "xref": "paper", "xanchor": "right", "yanchor": "bottom"}
        )  # fmt: skip
        found.append({"text": "budget", "showarrow": False, "font": {"color": _style.WORSE, "size": 11}, **where})
    if data.size is not None:
        text, where = f"area of a marker: {data.size.label}", {"x": 0, "xref": "paper", "y": 1, "yref": "paper"}
        found.append(
            {"text": text, "showarrow": False, "font": {"size": 11}, "xanchor": "left", "yanchor": "bottom", **where}
        )
    return found


def in_words(data: ParetoData, marks: Marks) -> list[str]:
    """Return sentences about what is marked and estimated, for those who can't see it."""
    names = {point.run_id: point.label for point in data.points if not point.estimated}
    said = [
        f"{what}: {names[run_id]}."
        for what, run_id in (("Recommended", marks.recommended), ("A", marks.a), ("B", marks.b))
        if run_id in names
    ]
    for count, words in (
        (sum(point.estimated and not point.became for point in data.points), "estimated, not measured"),
        (len(names.keys() & set(marks.dimmed)), "outside the budgets"),
        (len(names.keys() & set(marks.selected)), "selected"),
    ):
        said += [f"{count} {words}."] if count else []
    return said


def _limits(data: ParetoData) -> list[tuple[str, float]]:
    pairs = (("x", data.x), ("y", data.y))
    return [(name, data.limits[axis.name]) for name, axis in pairs if axis.name in data.limits]


def _across(name: str, low: float, high: float) -> dict[str, Any]:
    """Return the place of a shape from low to high on one axis, over the whole of the other."""
    other = "y" if name == "x" else "x"
    return {
        f"{name}0": low,
        f"{name}1": high,
        f"{other}0": 0,
        f"{other}1": 1,
        f"{name}ref": name,
        f"{other}ref": "paper",
    }


def _ring(
    name: str, points: Sequence[Point], marker: dict[str, Any], text: Sequence[str] = (), where: str = "top center"
) -> dict[str, Any]:
    return {
        "x": [point.x for point in points], "y": [point.y for point in points], "name": name, "uid": _style.uid(name),
        "mode": "markers+text" if text else "markers", "text": list(text) if points else [], "textposition": where,
        "marker": marker, "hoverinfo": "skip", "showlegend": bool(points), "cliponaxis": False,
    }  # fmt: skip


def _segments(pairs: Sequence[tuple[Point, Point]]) -> dict[str, Any]:
    """Return lines between pairs of points, with gaps between them."""
    import numpy as np

    ends = np.full((len(pairs), 3, 2), np.nan)
    for index, (point, other) in enumerate(pairs):
        ends[index, 0], ends[index, 1] = (other.x, other.y), (point.x, point.y)
    return {"x": ends[:, :, 0].ravel(), "y": ends[:, :, 1].ravel(), "mode": "lines"}


def _front_line(data: ParetoData) -> dict[str, Any]:
    """Return the step line: what one can have at each x, drawn on to the worst x."""
    front = data.front
    xs, ys = [point.x for point in front], [point.y for point in front]
    measured = [point.x for point in data.points if not point.estimated]
    if data.x.lower_is_better and measured:
        xs, ys = [*xs, max(measured)], [*ys, *ys[-1:]]
    elif measured:
        xs, ys = [min(measured), *xs], [*ys[:1], *ys]
    line = {"color": _style.INK, "width": 1.5, "dash": "dot", "shape": "hv" if data.x.lower_is_better else "vh"}
    return {"x": xs, "y": ys, "mode": "lines", "line": line}
