"""How one method's runs are drawn in a scatter: marker, intervals, hover text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench import table, wording
from workbench.charts import _style
from workbench.nouns import Measurement, Run

if TYPE_CHECKING:
    from workbench.charts._marks import Marks
    from workbench.charts.pareto import ParetoData, Point


SPAN_FOR_LOG = 4.0  # largest / smallest value from which a log scale reads better
LEAST_PX, MOST_PX = 7.0, 24.0  # of a marker whose area says something
FADED, FADED_PX = 0.3, 6.0


class Words(NamedTuple):
    """What a run or an estimate is called."""

    model: str
    recipe: str
    label: str  # the recipe without training
    method: str
    format: str

    @classmethod
    def of(cls, run: Run) -> Words:
        texts = (table.model_text, table.recipe_text, table.change_text, table.method_text, table.format_text)
        return cls(*(text(run) for text in texts))


class Looks:
    """What decides how a point looks beside its method: marks, a third quantity, what it was estimated to be."""

    def __init__(self, data: ParetoData, marks: Marks, shown: Sequence[Point]) -> None:
        self.data = data
        self.dimmed = frozenset(marks.dimmed)
        self.predicted = {point.became: point for point in data.points if point.became}
        self.number = {id(point): index for index, point in enumerate(p for p in data.points if p.estimated)}
        self._largest = max((point.size or 0.0 for point in shown), default=0.0)

    def px(self, point: Point) -> float:
        """Return the diameter: areas are proportional to the third quantity; else the front is larger."""
        if point.run_id in self.dimmed:
            return FADED_PX
        if self.data.size is None:
            return 8 if point.became else 13 if point.on_front else 10
        return max(LEAST_PX, MOST_PX * math.sqrt((point.size or 0.0) / (self._largest or 1.0)))

    def name(self, point: Point) -> str:
        return f"estimate:{self.number[id(point)]}" if point.estimated else point.run_id

    def hover(self, point: Point) -> str:
        lines = [f"<b>{point.recipe}</b>", f"{point.model} · {point.format} · {point.run_id}"]
        if point.estimated:
            lines.append("<b>estimated, not measured</b>" + (f" (became {point.became})" if point.became else ""))
        lines += point.details
        if self.data.size is not None and point.size is None:
            lines.append(f"{self.data.size.label}: {'not estimated' if point.estimated else 'not measured'}")
        if point.run_id in self.predicted:
            lines += errors(self.data, point, self.predicted[point.run_id])
        if point.on_front:
            lines.append("on the Pareto front")
        if point.run_id in self.dimmed:
            lines.append("does not fit the budgets")
        return "<br>".join(lines)


def groups(points: Sequence[Point]) -> list[list[Point]]:
    """Split into what is drawn alike: one method, one format, measured or estimated."""
    found: dict[tuple[str, str, bool], list[Point]] = {}
    for point in points:
        found.setdefault((point.method, point.format, point.estimated), []).append(point)
    return [found[key] for key in sorted(found)]


def commonest(points: Sequence[Point]) -> str:
    """Return the format that most points have; the others get a dot in their marker."""
    counts: dict[str, int] = {}
    for point in points:
        counts[point.format] = counts.get(point.format, 0) + 1
    return max(sorted(counts), key=counts.__getitem__, default="")


def markers(points: Sequence[Point], looks: Looks, *, dotted: bool) -> dict[str, Any]:
    """Return the trace of one group: larger on the front, hollow when estimated, whiskers for intervals and bands."""
    import numpy as np

    first, guess = points[0], points[0].estimated
    look = _style.marker(first.method)
    name = first.method + (f", {first.format}" if dotted else "") + (" (estimated)" if guess else "")
    faded = np.array([point.run_id in looks.dimmed for point in points])
    edge = 2 if guess else np.where(faded, 0, np.where([p.on_front for p in points], 1.6, 0.6))
    return {
        "x": np.array([point.x for point in points]),
        "y": np.array([point.y for point in points]),
        "error_x": _bars([(p.x, None if dim else p.x_interval) for p, dim in zip(points, faded)], look.colour, guess),
        "error_y": _bars([(p.y, None if dim else p.y_interval) for p, dim in zip(points, faded)], look.colour, guess),
        "mode": "markers", "name": name, "uid": _style.uid(first.method, first.format, guess),
        "marker": {
            "symbol": look.shape + ("-open" if guess else "") + ("-dot" if dotted else ""),
            "color": look.colour, "opacity": np.where(faded, FADED, 1.0) if faded.any() else 1,
            "size": np.array([looks.px(point) for point in points]),
            "line": {"width": edge, "color": look.colour if guess else "white" if dotted else _style.INK},
        },
        "customdata": _style.objects(looks.name(point) for point in points),
        "hovertext": _style.objects(looks.hover(point) for point in points),
        "hoverinfo": "text",
    }  # fmt: skip


def scale(axis: _style.Axis, values: Sequence[float], *, wrap: int = 0) -> dict[str, Any]:
    """Return the layout of an axis: its title (in lines of `wrap` characters; 0 = one), a log scale where it helps."""
    log = is_log(axis, values)
    few = log and max(values) < 6 * min(values)
    ticks = {"dtick": "D1" if few else "D2"} if log else {}
    title = _style.wrapped(axis.label, wrap) if wrap else axis.label
    return {"title": {"text": title}, "type": "log" if log else "linear", "tickformat": axis.tick_format, **ticks}


def is_log(axis: _style.Axis, values: Sequence[float]) -> bool:
    """Say whether values span so much that a log scale reads better."""
    return axis.log and bool(values) and min(values) > 0 and max(values) > SPAN_FOR_LOG * min(values)


def errors(data: ParetoData, measured: Point, predicted: Point) -> list[str]:
    """Return how far the estimate was off on each axis that was estimated."""
    found = []
    places = ((data.x, "x", predicted.x_interval), (data.y, "y", predicted.y_interval))
    for axis, name, band in places:
        if name in predicted.unknown:
            continue
        guess, value = getattr(predicted, name), getattr(measured, name)
        inside = "" if band is None else ", inside its band" if band[0] <= value <= band[1] else ", outside its band"
        off = f"{guess / value:.2f} × what was measured" if value else "measured 0"
        found.append(f"estimated before it ran: {wording.quantity(guess, axis.unit)}, {off}{inside}")
    return found


def detail(measured: Measurement) -> str:
    """Return a line such as `latency ms p50: 0.051 ms, n = 300 (threads 1, batch 1, alone)`."""
    conditions = measured.conditions
    name = measured.name.replace("_", " ")
    if "split" in conditions:
        name = f"{conditions['split']} {name}"
    how = [f"{key} {conditions[key]}" for key in ("threads", "batch") if key in conditions]
    if "measured_alone" in conditions:
        how.append("alone" if conditions["measured_alone"] else "not alone")
    if conditions.get("estimated"):
        how.append(f"not metered: {conditions.get('source', 'an estimate')}")
    return f"{name}: {wording.measured_text(measured)}" + (f" ({', '.join(how)})" if how else "")


def _bars(values: Sequence[tuple[float, tuple[float, float] | None]], colour: str, band: bool) -> dict[str, Any]:
    """Return whiskers; the band of an estimate is drawn thicker and without ends."""
    import numpy as np

    if not any(interval for _, interval in values):
        return {"visible": False}
    ends = np.array([interval or (value, value) for value, interval in values])
    middle = np.array([value for value, _ in values])
    thin = {"thickness": 4, "width": 0} if band else {"thickness": 1, "width": 3}
    return {
        "type": "data", "symmetric": False, "color": _style.faint(colour, 0.35) if band else colour, **thin,
        "array": ends[:, 1] - middle, "arrayminus": middle - ends[:, 0],
    }  # fmt: skip
