"""Any two measured quantities against each other, with the Pareto front, every interval, estimates and budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from workbench import compare, table
from workbench.charts import _many, _marks, _points, _style
from workbench.charts._marks import Marks
from workbench.errors import InvalidInput
from workbench.nouns import Measurement, Run
from workbench.params import did_you_mean

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["Marks", "ParetoData", "Point", "estimated_traces", "pareto_data", "pareto_figure"]
MOST_DRAWN = 20_000  # of more, those that lie on one another are left out


@dataclass(frozen=True)
class Point:
    """One run, or one estimate, on two axes. Interval ends are None where a value is exact or has no interval."""

    run_id: str  # of an estimate: any name
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
    size: float | None = None  # the third quantity; None = not measured
    became: str = ""  # of an estimate: the run that was then measured
    unknown: tuple[str, ...] = ()  # of an estimate: axes that nothing predicts, drawn at the parent's value


@dataclass(frozen=True)
class ParetoData:
    """What the chart shows, and what it can't: `missing` holds (run id, why)."""

    x: _style.Axis
    y: _style.Axis
    points: tuple[Point, ...]
    missing: tuple[tuple[str, str], ...]
    duplicates: tuple[tuple[str, ...], ...]  # runs on the front that are equal on both axes
    limits: Mapping[str, float]  # budget per axis name
    size: _style.Axis | None = None  # what the area of a marker says; None = nothing

    @property
    def front(self) -> list[Point]:
        """The front from its smallest x on."""
        return sorted((point for point in self.points if point.on_front), key=lambda point: (point.x, point.y))


def pareto_data(
    runs: Sequence[Run],
    *,
    x: str = "artifact_bytes",
    y: str = "accuracy",
    size: str = "",
    split: str = "validation",
    estimates: Sequence[Point] = (),
    limits: Mapping[str, float] | None = None,
) -> ParetoData:
    """Place runs on two measurements (qualities on `split`); estimates are shown, but never on the front.

    Raises InvalidInput when no run has one of the two, or of a third that is given as `size`. `limits` maps an axis name
    to a budget; None = no budgets.
    """
    names = (x, y, size) if size else (x, y)
    placed = _placed(runs, names, split)
    axes = [_axis(runs, [found[index] for found in placed], name) for index, name in enumerate(names)]
    front = _front(runs, placed, axes[:2])
    members, words = frozenset(front.members), _words(runs)
    why = {run.run_id: f"{run.status}: {table.error_text(run) or 'no cause recorded'}" for run in runs
           if run.status != "done"}  # fmt: skip
    points = [
        _point(run, found, words[index], run.run_id in members)
        for index, (run, found) in enumerate(zip(runs, placed))
        if run.run_id not in front.left_out and found[0] and found[1]
    ]
    return ParetoData(
        axes[0], axes[1], (*points, *estimates),
        tuple((name, why.get(name, reason)) for name, reason in front.left_out.items()), front.duplicates,
        {name: limit for name, limit in (limits or {}).items() if name in (x, y)}, axes[2] if size else None,
    )  # fmt: skip


def pareto_figure(
    data: ParetoData, *, title: str = "", join_parents: bool = True, marks: Marks = _marks.NOTHING
) -> go.Figure:
    """Draw the points (hollow = estimated), their intervals, the front as a step line, the budgets and what is marked.

    The first seven traces are always there, in the same order, the groups of points follow: an update keeps what was
    zoomed and hidden. Points carry their run id as customdata, estimates `estimate:N`.
    """
    import plotly.graph_objects as go

    shown = _many.thinned(data, MOST_DRAWN, marks)
    usual = _points.commonest(shown)
    traces = [*_marks.lines(data, shown, join_parents), *_marks.overlays(shown, marks)]
    looks = _points.Looks(data, marks, shown)
    traces += [_points.markers(group, looks, dotted=group[0].format != usual) for group in _points.groups(shown)]
    figure = go.Figure([{"type": "scatter", **trace} for trace in traces])
    num_named = sum(trace.get("showlegend", True) for trace in traces)
    return _style.finish(
        figure, alt=_in_words(data, title, marks, len(shown)), height=360 + 18 * -(-num_named // 2),
        meta={"near": _near_the_best(data)}, title_text=title, uirevision=f"{data.x.label} {data.y.label}",
        xaxis=_points.scale(data.x, [point.x for point in data.points]),
        yaxis=_points.scale(data.y, [point.y for point in data.points], wrap=36),
        shapes=_marks.shapes(data), annotations=_marks.notes(data),
        margin_t=40 if title else 30 if marks.is_anything or data.limits or data.size else 20,
    )  # fmt: skip


def estimated_traces(data: ParetoData, marks: Marks = _marks.NOTHING) -> list[dict[str, Any]]:
    """Return the traces of the estimates alone, as `pareto_figure` draws them: what a knob of a recipe moves."""
    guesses = [point for point in data.points if point.estimated]
    usual, looks = _points.commonest(data.points), _points.Looks(data, marks, guesses)
    return [_points.markers(group, looks, dotted=group[0].format != usual) for group in _points.groups(guesses)]


def _placed(runs: Sequence[Run], names: Sequence[str], split: str) -> list[list[Measurement | None]]:
    """Return the measurements of every run; the run that a ratio is taken to is 1 by definition."""
    placed = [[_style.measurement(run, name, split) for name in names] for run in runs]
    for index, name in enumerate(names):
        if name in _style.RATIOS:
            role = name.removeprefix("latency_ratio_to_")
            pointed_at = {getattr(run, role) for run in runs}
            for run, found in zip(runs, placed):
                if found[index] is None and run.status == "done" and run.run_id in pointed_at:
                    found[index] = Measurement(name, f"this / {role}", "lower", 1.0)
    return placed


def _axis(runs: Sequence[Run], found: Sequence[Measurement | None], name: str) -> _style.Axis:
    measured = next((each for each in found if each), None)
    if measured is None:
        known = {each.name for run in runs for each in run.measurements}
        raise InvalidInput([f"no run has a measured {name!r}{did_you_mean(name, known)}"])
    return _style.axis(measured)


def _front(
    runs: Sequence[Run], placed: Sequence[Sequence[Measurement | None]], axes: Sequence[_style.Axis]
) -> compare.Front:
    values = {
        run.run_id: {axis.name: each.value if each else None for axis, each in zip(axes, found)}
        for run, found in zip(runs, placed)
    }
    better: dict[str, Any] = {axis.name: "lower" if axis.lower_is_better else "higher" for axis in axes}
    return compare.pareto({name: values[name] for name in _many.candidates(values, better)}, better)


def _words(runs: Sequence[Run]) -> list[_points.Words]:
    """Return what each run is called; made once for each job, as many runs differ by their seed alone."""
    known: dict[bytes, _points.Words] = {}
    found = []
    for run in runs:
        key = orjson.dumps([run.job.get(name) for name in ("model", "steps", "format")])
        if key not in known:
            known[key] = _points.Words.of(run)
        found.append(known[key])
    return found


def _point(run: Run, found: Sequence[Measurement | None], words: _points.Words, on_front: bool) -> Point:
    x, y = found[0], found[1]
    assert x and y
    third = found[2] if len(found) > 2 else None
    return Point(
        run.run_id, *words, x.value, y.value, _interval(x), _interval(y), on_front, parent=run.parent,
        details=tuple(_points.detail(each) for each in found if each), size=third.value if third else None,
    )  # fmt: skip


def _interval(measured: Measurement) -> tuple[float, float] | None:
    return None if measured.lo is None or measured.hi is None else (measured.lo, measured.hi)


def _near_the_best(data: ParetoData) -> list[float] | None:
    """Return the part of a y axis of shares within ten points of the best; None for other quantities."""
    if not data.y.tick_format.endswith("%") or not data.points:
        return None
    best = max(point.y for point in data.points)
    highest = max(point.y_interval[1] if point.y_interval else point.y for point in data.points)
    return [best - 0.1, min(highest + 0.005, 1.005)]


def _in_words(data: ParetoData, title: str, marks: Marks, num_drawn: int) -> str:
    best = "; ".join(f"{point.label} ({', '.join(point.details)})" for point in data.front)
    said = (
        f"{title or 'Trade-off'}: {data.y.label} over {data.x.label}, {len(data.points)} points. On the front: {best}."
    )
    if num_drawn < len(data.points):
        said += f" {num_drawn:,} are drawn; the others lie on those."
    return " ".join([said, *_marks.in_words(data, marks)])
