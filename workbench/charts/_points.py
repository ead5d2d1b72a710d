"""How one method's runs are drawn in a scatter: marker, intervals, hover text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.charts import _style
from workbench.nouns import Measurement

if TYPE_CHECKING:
    from workbench.charts.pareto import Point


def markers(points: Sequence[Point], method: str, estimated: bool) -> dict[str, Any]:
    """Return the trace of one method: larger on the front, hollow when estimated, with whiskers for intervals."""
    look = _style.marker(method)
    return {
        "x": [point.x for point in points],
        "y": [point.y for point in points],
        "error_x": _bars([(point.x, point.x_interval) for point in points], look.colour),
        "error_y": _bars([(point.y, point.y_interval) for point in points], look.colour),
        "mode": "markers",
        "name": f"{method} (estimated)" if estimated else method,
        "marker": {
            "symbol": f"{look.shape}-open" if estimated else look.shape, "color": look.colour,
            "size": [13 if point.on_front else 10 for point in points],
            "line": {"width": 2 if estimated else [1.6 if point.on_front else 0.6 for point in points],
                     "color": look.colour if estimated else _style.INK},
        },
        "customdata": [point.run_id for point in points],
        "hovertext": [_hover(point) for point in points],
        "hoverinfo": "text",
    }  # fmt: skip


def _hover(point: Point) -> str:
    kind = ["<b>estimated, not measured</b>"] if point.estimated else []
    front = ["on the Pareto front"] if point.on_front else []
    lines = [f"<b>{point.recipe}</b>", f"{point.model} · {point.run_id}", *kind, *point.details, *front]
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
    return f"{name}: {_style.value_text(measured)}" + (f" ({', '.join(how)})" if how else "")
