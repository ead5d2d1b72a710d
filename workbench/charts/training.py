"""How the loss fell while a run trained: one line per step that trains, with the spread over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson

from workbench import table
from workbench.charts import _style, _told
from workbench.nouns import Run

if TYPE_CHECKING:
    import numpy as np
    import plotly.graph_objects as go

UNITS = {"loss": "nats", "accuracy": "%"}
GRID = 200  # places at which the curves of several seeds are held against each other
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


@dataclass(frozen=True)
class Curve:
    """One training step of runs that are equal but for the seed; of one run, low = middle = high."""

    run_ids: tuple[str, ...]
    label: str
    method: str
    part: str  # as recorded, "steps[0].train"
    x: np.ndarray
    middle: np.ndarray  # mean over seeds
    low: np.ndarray
    high: np.ndarray
    trained_in: tuple[str, ...] = ()  # the runs whose record is shown, where these took the step from the cache
    shared_by: tuple[str, ...] = ()  # other runs that began with this very training


@dataclass(frozen=True)
class TrainingData:
    """`missing` holds (run id, why it shows no curve)."""

    value: str
    along: Literal["batches", "share"]
    curves: tuple[Curve, ...]
    missing: tuple[tuple[str, str], ...]


def training_data(
    runs: Sequence[Run],
    *,
    value: str = "loss",
    along: Literal["batches", "share"] = "batches",
    others: Sequence[Run] = (),
) -> TrainingData:
    """Read the curves of `runs` from their events; a step that came from the cache is looked for in `others`.

    Values are those of single batches, told at most ten times a second: no value is smoothed or made up.
    """
    told = {run.run_id: _told.parts(run, value) for run in runs}
    missing = [(run.run_id, _why_missing(run, value)) for run in runs if not told[run.run_id]]
    equal: dict[bytes, list[Run]] = {}
    for run in runs:
        same = {name: part for name, part in run.job.items() if name != "seed"}
        equal.setdefault(orjson.dumps(same, option=orjson.OPT_SORT_KEYS), []).append(run)
    curves: list[Curve] = []
    for group in equal.values():
        lent = {run.run_id: _told.lent(run, told[run.run_id], others, value) for run in group}
        for part in dict.fromkeys(part for run in group for part in (*lent[run.run_id], *told[run.run_id])):
            curves += _curves(group, part, told, lent, along)
    found = {run_id for curve in curves for run_id in curve.run_ids}
    told_of = tuple(each for each in missing if each[0] not in found)
    return TrainingData(value, along, _once(curves), told_of)


def training_figure(data: TrainingData) -> go.Figure:
    """Draw a line per step, coloured by method and dashed by step, with a band from the lowest to the highest seed."""
    import plotly.graph_objects as go

    if not data.curves:
        return _style.nothing("; ".join(f"{run_id}: {why}" for run_id, why in data.missing) or "no runs")
    parts = list(dict.fromkeys(curve.part for curve in data.curves))
    traces: list[dict[str, Any]] = []
    for curve in data.curves:
        look = {"color": _style.marker(curve.method).colour, "dash": DASHES[parts.index(curve.part) % len(DASHES)]}
        traces += _band(curve, look["color"]) if len(curve.run_ids) > 1 else []
        traces.append(_line(curve, look, data))
    share, unit = data.along == "share", UNITS.get(data.value, "")
    return _style.finish(
        go.Figure([{"type": "scatter", **trace} for trace in traces]), alt=_in_words(data),
        height=340 + 18 * len(data.curves),
        xaxis={"title": {"text": "share of the step done (%)" if share else "batches done in the step (batches)"},
               "rangemode": "tozero", "tickformat": ".0%" if share else ""},
        yaxis={"title": {"text": f"{data.value} of a batch" + (f" ({unit})" if unit else "")},
               "tickformat": ".0%" if unit == "%" else ""},
    )  # fmt: skip


def _curves(
    group: Sequence[Run],
    part: str,
    told: Mapping[str, Mapping[str, _told.Part]],
    lent: Mapping[str, Mapping[str, tuple[str, _told.Part]]],
    along: str,
) -> list[Curve]:
    import numpy as np

    with_it = [run for run in group if part in told[run.run_id] or part in lent[run.run_id]]
    parts = [told[run.run_id].get(part) or lent[run.run_id][part][1] for run in with_it]
    origin = [lent[run.run_id][part][0] for run in with_it if part not in told[run.run_id]]
    xs = [done / total if along == "share" else done for done, _, total in parts]
    if len(parts) == 1:
        grid, all_values = xs[0], parts[0][1][None]
    else:
        grid = np.linspace(max(x[0] for x in xs), min(x[-1] for x in xs), GRID)
        all_values = np.array([np.interp(grid, x, part[1]) for x, part in zip(xs, parts)])
    ids = tuple(run.run_id for run in with_it)
    return [
        Curve(ids, _style.run_label(group[0]), table.method_text(group[0]), part, grid, all_values.mean(axis=0),
              all_values.min(axis=0), all_values.max(axis=0), tuple(dict.fromkeys(origin)))
    ]  # fmt: skip


def _once(curves: Sequence[Curve]) -> tuple[Curve, ...]:
    """Return each training once: that of runs which began alike is one curve, however many are shown."""
    kept: dict[tuple[tuple[str, ...], str], Curve] = {}
    for curve in sorted(curves, key=lambda curve: bool(curve.trained_in)):
        key = (curve.trained_in or curve.run_ids, curve.part)
        first = kept.setdefault(key, curve)
        if first is not curve:
            kept[key] = replace(first, shared_by=(*first.shared_by, *curve.run_ids))
    return tuple(kept.values())


def _why_missing(run: Run, value: str) -> str:
    if not run.folder or not (Path(run.folder) / "events.jsonl").exists():
        return "it kept no events.jsonl"
    cached = f"; from the cache: {', '.join(run.cached)}" if run.cached else ""
    return f"nothing it did told a {value}{cached}"


def _line(curve: Curve, look: dict[str, Any], data: TrainingData) -> dict[str, Any]:
    seeds = f", {len(curve.run_ids)} seeds" if len(curve.run_ids) > 1 else ""
    origin = f"<br>trained in {', '.join(curve.trained_in)}" if curve.trained_in else ""
    origin += f"<br>and the beginning of {len(curve.shared_by)} more shown here" if curve.shared_by else ""
    spread = "<br>%{text}" if seeds else ""
    return {
        "x": curve.x, "y": curve.middle, "mode": "lines+markers" if len(curve.x) < 30 else "lines", "line": look,
        "name": f"{curve.label}; {_part_words(curve.part)}{seeds}{_shared(curve)}", "marker": {"size": 5}, "customdata": [curve.run_ids[0]] * len(curve.x),
        "text": [f"from {low:.3g} to {high:.3g}" for low, high in zip(curve.low, curve.high)],
        "hovertemplate": f"<b>{curve.label}</b><br>{', '.join(curve.run_ids)}<br>{_part_words(curve.part)}: %{{x}}<br>"
        f"{data.value} %{{y:.3g}}{seeds}{spread}{origin}<extra></extra>",
    }  # fmt: skip


def _part_words(part: str) -> str:
    """Return `step 1, train` for `steps[0].train`."""
    number, found, name = part.removeprefix("steps[").partition("].")
    return f"step {int(number) + 1}, {name}" if found and number.isdigit() else part


def _shared(curve: Curve) -> str:
    return f" (and {len(curve.shared_by)} more)" if curve.shared_by else ""


def _band(curve: Curve, colour: str) -> list[dict[str, Any]]:
    edge = {"mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip", "x": curve.x}
    return [
        {**edge, "y": curve.low},
        {**edge, "y": curve.high, "fill": "tonexty", "fillcolor": _style.faint(colour, 0.2)},
    ]


def _in_words(data: TrainingData) -> str:
    told = "; ".join(
        f"{curve.label}, {_part_words(curve.part)}: from {curve.middle[0]:.3g} to {curve.middle[-1]:.3g} over {len(curve.run_ids)} run(s)"
        for curve in data.curves
    )
    return f"{data.value} of single batches while training. {told}."
