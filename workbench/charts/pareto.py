"""Any two measured quantities against each other, with the Pareto front and every interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench import compare, table
from workbench.charts import _points, _style
from workbench.errors import InvalidInput
from workbench.nouns import Measurement, Run
from workbench.params import did_you_mean

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Point:
    """One run, or one estimate, on two axes. Interval ends are None where a value is exact or has no interval."""

    run_id: str
    model: str
    recipe: str
    label: str  # the recipe without training
    method: str
    format: str
    x: float
    y: float
    x_interval: tuple[float, float] | None = None
    y_interval: tuple[float, float] | None = None
    on_front: bool = False
    estimated: bool = False
    parent: str | None = None  # run id; None for the parent itself
    details: tuple[str, ...] = ()  # lines for the hover text: values with n, threads, batch


@dataclass(frozen=True)
class ParetoData:
    """What the chart shows, and what it can't: `missing` holds (run id, why)."""

    x: _style.Axis
    y: _style.Axis
    points: tuple[Point, ...]
    missing: tuple[tuple[str, str], ...]
    duplicates: tuple[tuple[str, ...], ...]  # runs on the front that are equal on both axes
    limits: Mapping[str, float]  # budget per axis name

    @property
    def front(self) -> list[Point]:
        """The front from its smallest x on."""
        return sorted((point for point in self.points if point.on_front), key=lambda point: (point.x, point.y))


def pareto_data(
    runs: Sequence[Run],
    *,
    x: str = "artifact_bytes",
    y: str = "accuracy",
    split: str = "validation",
    estimates: Sequence[Point] = (),
    limits: Mapping[str, float] | None = None,
) -> ParetoData:
    """Place runs on two measurements (qualities on `split`); estimates are shown, but never on the front.

    Raises InvalidInput when no run has one of the two. `limits` maps an axis name to a budget; None = no budgets.
    """
    placed = {run.run_id: (_on(run, x, split, runs), _on(run, y, split, runs)) for run in runs}
    axes = [_axis(runs, placed, index, name) for index, name in enumerate((x, y))]
    values = {
        run_id: {name: measured.value if measured else None for name, measured in zip((x, y), pair)}
        for run_id, pair in placed.items()
    }
    front = compare.pareto(values, {axis.name: "lower" if axis.lower_is_better else "higher" for axis in axes})
    why = {**front.left_out, **{run.run_id: _why_missing(run) for run in runs if run.status != "done"}}
    points = [
        _point(run, here[0], here[1], front.members)
        for run in runs
        if (here := placed[run.run_id])[0] and here[1] and run.run_id not in front.left_out
    ]
    return ParetoData(
        axes[0], axes[1], (*points, *estimates), tuple((name, why[name]) for name in front.left_out), front.duplicates,
        {name: limit for name, limit in (limits or {}).items() if name in (x, y)},
    )  # fmt: skip


def pareto_figure(data: ParetoData, *, title: str = "", join_parents: bool = True) -> go.Figure:
    """Draw the points (hollow = estimated), their intervals, the front as a step line and the budgets."""
    import plotly.graph_objects as go

    figure = go.Figure()
    if join_parents:
        figure.add_trace(go.Scatter(**_parent_lines(data), showlegend=False, hoverinfo="skip"))
    figure.add_trace(go.Scatter(**_front_line(data), name="Pareto front", hoverinfo="skip"))
    for shown in _points.groups(data.points):
        figure.add_trace(go.Scatter(**_points.markers(shown, dotted=shown[0].format != _points.commonest(data.points))))
    rows_of_legend = -(-len(figure.data) // 2)
    _style.finish(
        figure,
        alt=_in_words(data, title),
        height=360 + 18 * rows_of_legend,
        title_text=title,
        margin_t=40 if title else 20,
    )
    figure.update_layout(meta={**figure.layout.meta, "near": _near_the_best(data)})
    figure.update_xaxes(**_points.scale(data.x, [point.x for point in data.points]))
    figure.update_yaxes(**_points.scale(data.y, [point.y for point in data.points]))
    _draw_limits(figure, data)
    return figure


def _on(run: Run, name: str, split: str, runs: Sequence[Run]) -> Measurement | None:
    """Return the measurement; the run that a ratio is taken to is 1 by definition."""
    found = _style.measurement(run, name, split)
    if found or name not in _style.RATIOS or run.status != "done":
        return found
    role = name.removeprefix("latency_ratio_to_")
    if any(getattr(other, role) == run.run_id for other in runs):
        return Measurement(name, f"this / {role}", "lower", 1.0)
    return None


def _axis(runs: Sequence[Run], placed: Mapping[str, tuple[Any, ...]], index: int, name: str) -> _style.Axis:
    measured = next((pair[index] for pair in placed.values() if pair[index]), None)
    if measured is None:
        known = {each.name for run in runs for each in run.measurements}
        raise InvalidInput([f"no run has a measured {name!r}{did_you_mean(name, known)}"])
    return _style.axis(measured)


def _why_missing(run: Run) -> str:
    return f"{run.status}: {table.error_text(run) or 'no cause recorded'}"


def _point(run: Run, x: Measurement, y: Measurement, front: Sequence[str]) -> Point:
    return Point(
        run.run_id, table.model_text(run), table.recipe_text(run), table.change_text(run), table.method_text(run),
        table.format_text(run), x.value, y.value, _interval(x), _interval(y), run.run_id in front, parent=run.parent,
        details=tuple(_points.detail(measured) for measured in (x, y)),
    )  # fmt: skip


def _interval(measured: Measurement) -> tuple[float, float] | None:
    return None if measured.lo is None or measured.hi is None else (measured.lo, measured.hi)


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


def _parent_lines(data: ParetoData) -> dict[str, Any]:
    """Return faint lines from every run to its parent, with gaps between."""
    places = {point.run_id: point for point in data.points}
    xs: list[float | None] = []
    ys: list[float | None] = []
    for point in data.points:
        if point.parent in places:
            parent = places[point.parent]
            xs += [parent.x, point.x, None]
            ys += [parent.y, point.y, None]
    return {"x": xs, "y": ys, "mode": "lines", "line": {"color": _style.FAINT, "width": 0.7}, "opacity": 0.35}


def _draw_limits(figure: go.Figure, data: ParetoData) -> None:
    line = {"line_color": _style.WORSE, "line_dash": "dash", "line_width": 1.2}
    for axis, draw in ((data.x, figure.add_vline), (data.y, figure.add_hline)):
        if axis.name in data.limits:
            draw(data.limits[axis.name], annotation_text="budget", annotation_font_color=_style.WORSE, **line)


def _near_the_best(data: ParetoData) -> list[float] | None:
    """Return the part of a y axis of shares within ten points of the best; None for other quantities."""
    if not data.y.tick_format.endswith("%") or not data.points:
        return None
    best = max(point.y for point in data.points)
    highest = max(point.y_interval[1] if point.y_interval else point.y for point in data.points)
    return [best - 0.1, min(highest + 0.005, 1.005)]


def _in_words(data: ParetoData, title: str) -> str:
    best = "; ".join(f"{point.label} ({', '.join(point.details)})" for point in data.front)
    return (
        f"{title or 'Trade-off'}: {data.y.label} over {data.x.label}, {len(data.points)} points. On the front: {best}."
    )
