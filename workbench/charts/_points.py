"""How one method's runs are drawn in a scatter: marker, intervals, hover text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench import wording
from workbench.charts import _style
from workbench.nouns import Measurement

if TYPE_CHECKING:
    from workbench.charts.pareto import Point


SPAN_FOR_LOG = 4.0  # largest / smallest value from which a log scale reads better


def groups(points: Sequence[Point]) -> list[list[Point]]:
    """Split into what is drawn alike: one method, one format, measured or estimated."""
    found: dict[tuple[str, str, bool], list[Point]] = {}
    for point in points:
        found.setdefault((point.method, point.format, point.estimated), []).append(point)
    return [found[key] for key in sorted(found)]


def commonest(points: Sequence[Point]) -> str:
    """Return the format that most points have; the others get a dot in their marker."""
    return max(sorted({point.format for point in points}), key=[point.format for point in points].count, default="")


def markers(points: Sequence[Point], *, dotted: bool) -> dict[str, Any]:
    """Return the trace of one group: larger on the front, hollow when estimated, with whiskers for intervals."""
    first = points[0]
    look = _style.marker(first.method)
    name = first.method + (f", {first.format}" if dotted else "") + (" (estimated)" if first.estimated else "")
    return {
        "x": [point.x for point in points],
        "y": [point.y for point in points],
        "error_x": _bars([(point.x, point.x_interval) for point in points], look.colour),
        "error_y": _bars([(point.y, point.y_interval) for point in points], look.colour),
        "mode": "markers",
        "name": name,
        "marker": {
            "symbol": look.shape + ("-open" if first.estimated else "") + ("-dot" if dotted else ""),
            "color": look.colour, "opacity": 1, "size": [13 if point.on_front else 10 for point in points],
            "line": {"width": 2 if first.estimated else [1.6 if point.on_front else 0.6 for point in points],
                     "color": look.colour if first.estimated else "white" if dotted else _style.INK},
        },
        "customdata": [point.run_id for point in points],
        "hovertext": [_hover(point) for point in points],
        "hoverinfo": "text",
    }  # fmt: skip


def scale(axis: _style.Axis, values: Sequence[float]) -> dict[str, Any]:
    """Return the layout of an axis: its title, and a log scale where it helps."""
    log = axis.log and bool(values) and min(values) > 0 and max(values) > SPAN_FOR_LOG * min(values)
    few = log and max(values) < 15 * min(values)
    ticks = {"dtick": "D1" if few else "D2"} if log else {}
    return {"title_text": axis.label, "type": "log" if log else "linear", "tickformat": axis.tick_format, **ticks}


def _hover(point: Point) -> str:
    kind = ["<b>estimated, not measured</b>"] if point.estimated else []
    front = ["on the Pareto front"] if point.on_front else []
    lines = [
        f"<b>{point.recipe}</b>",
        f"{point.model} · {point.format} · {point.run_id}",
        *kind,
        *point.details,
        *front,
    ]
    return "<br>".join(lines)


def _bars(values: Sequence[tuple[float, tuple[float, float] | None]], colour: str) -> dict[str, Any]:
    if not any(interval for _, interval in values):
        return {"visible": False}
    ends = [interval or (value, value) for value, interval in values]
    return {
        "type": "data", "symmetric": False, "thickness": 1, "width": 3, "color": colour,
        "array": [hi - value for (value, _), (_, hi) in zip(values, ends)],
        "arrayminus": [value - lo for (value, _), (lo, _) in zip(values, ends)],
    }  # fmt: skip


def detail(measured: Measurement) -> str:
    """Return a line such as `latency ms p50: 0.051 ms, n = 300 (threads 1, batch 1, alone)`."""
    how = [f"{name} {measured.conditions[name]}" for name in ("threads", "batch") if name in measured.conditions]
    if "measured_alone" in measured.conditions:
        how.append("alone" if measured.conditions["measured_alone"] else "not alone")
    name = " ".join(filter(None, (str(measured.conditions.get("split", "")), measured.name.replace("_", " "))))
    return f"{name}: {wording.measured_text(measured)}" + (f" ({', '.join(how)})" if how else "")
