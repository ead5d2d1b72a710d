"""Runs as lines over several measurements at once: what is good everywhere stays at the top."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench import table, wording
from workbench.charts import _heights, _points, _style
from workbench.errors import InvalidInput
from workbench.nouns import Measurement, Run
from workbench.params import did_you_mean

if TYPE_CHECKING:
    import plotly.graph_objects as go

USUAL = ("artifact_bytes", "latency_ms_p50", "accuracy", "perplexity", "peak_memory_bytes", "energy_joules")
SHADES = 12  # of the colour scale: as many traces, whatever the number of runs
SCALE = "Cividis"  # made to look alike to those who see colours and those who don't (Nuñez et al. 2018)


@dataclass(frozen=True)
class Vertical:
    """One measurement: `ticks` are (height, text); heights are 0 at the worst value and 1 at the best."""

    axis: _style.Axis
    worst: float
    best: float
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Line:
    """One run: a value and a height on every vertical."""

    run_id: str
    label: str
    method: str
    values: tuple[float, ...]
    heights: tuple[float, ...]
    details: tuple[str, ...]  # a hover line per vertical


@dataclass(frozen=True)
class ParallelData:
    """Runs that have every measurement; `missing` holds (run id, what it lacks)."""

    verticals: tuple[Vertical, ...]
    lines: tuple[Line, ...]
    missing: tuple[tuple[str, str], ...]
    colour: int  # index of the vertical that colours the lines


def parallel_data(
    runs: Sequence[Run], names: Sequence[str] = (), *, split: str = "validation", colour_by: str = ""
) -> ParallelData:
    """Place runs on two or more measurements; without `names`, on the usual ones that any run has.

    `colour_by` is one of them; empty = the first quality, else the first. Raises InvalidInput for a measurement that no
    run has, or when no run has all of them.
    """
    chosen = tuple(names) or tuple(name for name in USUAL if any(_style.measurement(run, name, split) for run in runs))
    found = {run.run_id: [_style.measurement(run, name, split) for name in chosen] for run in runs}
    _check(runs, chosen, found, colour_by)
    whole = {run_id: [each for each in row if each] for run_id, row in found.items() if all(row)}
    verticals = tuple(_vertical([row[index] for row in whole.values()]) for index in range(len(chosen)))
    lines = tuple(_line(run, whole[run.run_id], verticals) for run in runs if run.run_id in whole)
    lacking = tuple((run.run_id, _lacks(run, chosen, found[run.run_id])) for run in runs if run.run_id not in whole)
    quality = next((name for name, vertical in zip(chosen, verticals) if vertical.axis.split), chosen[0])
    return ParallelData(verticals, lines, lacking, chosen.index(colour_by or quality))


def parallel_figure(data: ParallelData, *, selected: Collection[str] = ()) -> go.Figure:
    """Draw one line per run with a marker on every vertical (customdata: run id); selected runs are thick."""
    import plotly.graph_objects as go

    shades: list[list[Line]] = [[] for _ in range(SHADES)]
    for line in data.lines:
        shades[min(int(line.heights[data.colour] * SHADES), SHADES - 1)].append(line)
    faint = {"opacity": 0.6 if len(data.lines) > 100 else 1, "showlegend": False}
    traces = [
        {**_polyline(lines), **faint, "line": {"color": colour, "width": 1.6}, "uid": _style.uid("shade", index)}
        for index, (colour, lines) in enumerate(zip(_colours(), shades))
    ]
    chosen = [line for line in data.lines if line.run_id in frozenset(selected)]
    thick = {"line": {"color": _style.WORSE, "width": 5}, "marker": {"size": 11, "symbol": "diamond"}}
    traces.append({**_polyline(chosen), **thick, "name": "selected", "showlegend": bool(chosen), "uid": "selected"})
    places = list(range(len(data.verticals)))
    titles = [_title(vertical, coloured=index == data.colour) for index, vertical in enumerate(data.verticals)]
    return _style.finish(
        go.Figure([{"type": "scatter", **trace} for trace in traces]), alt=_in_words(data, selected),
        height=460 if chosen else 430, margin={"l": 10, "r": 10, "t": 20, "b": 20}, hovermode="closest",
        xaxis={"tickvals": places, "ticktext": titles, "showgrid": False, "tickangle": 0, "ticks": "", "showline": False,
               "range": [-0.5, len(places) - 0.5], "tickfont": {"size": 11}, "fixedrange": True},
        yaxis={"visible": False, "range": [-0.06, 1.06], "fixedrange": True}, uirevision=len(places),
        shapes=_uprights(data), annotations=_tick_labels(data),
    )  # fmt: skip


def _check(
    runs: Sequence[Run], chosen: Sequence[str], found: dict[str, list[Measurement | None]], colour_by: str
) -> None:
    known = {each.name for run in runs for each in run.measurements}
    problems = [
        f"no run has a measured {name!r}{did_you_mean(name, known)}"
        for index, name in enumerate(chosen)
        if not any(row[index] for row in found.values())
    ]
    if len(chosen) < 2:
        problems.append(f"lines need two measurements or more, given {list(chosen)}")
    if colour_by and colour_by not in chosen:
        problems.append(f"colour_by {colour_by!r} is not among {list(chosen)}")
    if not problems and not any(all(row) for row in found.values()):
        problems.append(f"no run has all of {', '.join(chosen)}")
    if problems:
        raise InvalidInput(problems)


def _vertical(found: Sequence[Measurement]) -> Vertical:
    axis = _style.axis(found[0])
    values = [each.value for each in found]
    low, high = min(values), max(values)
    worst, best = (high, low) if axis.lower_is_better else (low, high)
    at = _heights.ticks(axis, values)
    places = _heights.heights(axis, values, at, worst, best)
    return Vertical(axis, worst, best, tuple(zip(places, (wording.quantity(value, axis.unit) for value in at))))


def _line(run: Run, found: Sequence[Measurement], verticals: Sequence[Vertical]) -> Line:
    heights = [
        _heights.heights(vertical.axis, (vertical.worst, vertical.best), [each.value], vertical.worst, vertical.best)[0]
        for vertical, each in zip(verticals, found)
    ]
    return Line(
        run.run_id, _style.run_label(run), table.method_text(run), tuple(each.value for each in found), tuple(heights),
        tuple(_points.detail(each) for each in found),
    )  # fmt: skip


def _lacks(run: Run, chosen: Sequence[str], found: Sequence[Measurement | None]) -> str:
    if run.status != "done":
        return f"{run.status}: {table.error_text(run) or 'no cause recorded'}"
    return "no " + ", ".join(name.replace("_", " ") for name, each in zip(chosen, found) if each is None)


def _polyline(lines: Sequence[Line]) -> dict[str, Any]:
    """Return one trace of many lines, with a gap after each."""
    import numpy as np

    width = len(lines[0].values) + 1 if lines else 1
    ys = np.array([[*line.heights, math.nan] for line in lines], float)
    hover = (f"<b>{line.label}</b><br>{line.run_id}<br>{'<br>'.join(line.details)}" for line in lines)
    return {
        "x": np.tile(np.arange(width), len(lines)), "y": ys.ravel(), "mode": "lines+markers", "hoverinfo": "text",
        "marker": {"size": 7}, "customdata": np.repeat(_style.objects(line.run_id for line in lines), width),
        "hovertext": np.repeat(_style.objects(hover), width),
    }  # fmt: skip


def _colours() -> list[str]:
    """Return the shades from worst to best; the palest end, hard to see on white, is left out."""
    from plotly.colors import sample_colorscale

    return [str(shade) for shade in sample_colorscale(SCALE, [0.92 * index / (SHADES - 1) for index in range(SHADES)])]


def _uprights(data: ParallelData) -> list[dict[str, Any]]:
    """Return the verticals as shapes; the one that colours the lines is drawn in those colours."""
    line = {"type": "line", "y0": 0, "y1": 1, "layer": "below", "line": {"color": _style.FAINT, "width": 1.5}}
    found = [{**line, "x0": at, "x1": at} for at in range(len(data.verticals))]
    ends = {"x0": data.colour - 0.025, "x1": data.colour + 0.025, "layer": "below", "line": {"width": 0}}
    for index, colour in enumerate(_colours()):
        found.append({**ends, "type": "rect", "y0": index / SHADES, "y1": (index + 1) / SHADES, "fillcolor": colour})
    return found


def _tick_labels(data: ParallelData) -> list[dict[str, Any]]:
    look = {
        "showarrow": False,
        "xanchor": "left",
        "xshift": 7,
        "font": {"size": 11},
        "bgcolor": "rgba(255,255,255,0.75)",
    }
    return [
        {"x": at, "y": height, "text": text, **look}
        for at, vertical in enumerate(data.verticals)
        for height, text in vertical.ticks
    ]


def _title(vertical: Vertical, *, coloured: bool) -> str:
    best = "lowest at top" if vertical.axis.lower_is_better else "highest at top"
    return f"{_style.wrapped(vertical.axis.label, 15)}<br><i>{best}</i>" + (
        "<br><i>colours lines</i>" if coloured else ""
    )


def _in_words(data: ParallelData, selected: Collection[str]) -> str:
    ranges = "; ".join(
        f"{vertical.axis.label}: best {wording.quantity(vertical.best, vertical.axis.unit)}, "
        f"worst {wording.quantity(vertical.worst, vertical.axis.unit)}"
        for vertical in data.verticals
    )
    chosen = "; ".join(
        f"{line.label}: {', '.join(line.details)}" for line in data.lines if line.run_id in frozenset(selected)
    )
    told = f"{len(data.lines)} runs as lines, the best of each measurement at the top. {ranges}."
    told += f" Selected: {chosen}." if chosen else ""
    return told + (f" Not drawn: {len(data.missing)}." if data.missing else "")
