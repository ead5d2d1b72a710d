"""The trade-off that a batch shows: two of its metrics against each other, with the front of what nothing else beats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.batch._record import Metric
from workbench.batch.views import Line

if TYPE_CHECKING:
    import plotly.graph_objects as go

PREFERRED_COSTS = ("artifact_bytes", "latency_ms_p50")
PREFERRED_QUALITIES = (
    "accuracy_validation",
    "accuracy",  # who picks from a chart chooses: by validation
    "perplexity",
    "bits_per_byte",
)
DISTURBED = "timed beside other work"


@dataclass(frozen=True)
class Front:
    """Lines on two axes. `left_out` says why a line has no place: a metric it lacks, or a timing that was disturbed."""

    x: tuple[str, Metric]
    y: tuple[str, Metric]
    points: tuple[tuple[Line, Metric, Metric], ...]
    members: frozenset[str]  # labels of lines
    left_out: tuple[tuple[str, str], ...]


def front(lines: Sequence[Line]) -> Front | None:
    """Place lines that passed on a cost and a quality; None when no two such metrics were measured together."""
    from workbench.compare import pareto

    passed = [line for line in lines if line.view.record and line.view.record.passed]
    axes = _axes(passed)
    if axes is None:
        return None
    x, y = axes
    points, left_out = [], []
    for line in passed:
        found = [line.metrics.get(name) for name in axes]
        disturbed = [name for name, metric in zip(axes, found) if metric and metric.measured_alone is False]
        if found[0] is None or found[1] is None:
            left_out.append(
                (line.label, f"no {' and no '.join(name for name, each in zip(axes, found) if each is None)}")
            )
        elif disturbed:
            left_out.append((line.label, f"{', '.join(disturbed)} {DISTURBED}"))
        else:
            points.append((line, found[0], found[1]))
    if not points:
        return None
    values = {line.label: {x: first.value, y: second.value} for line, first, second in points}
    _, first, second = points[0]
    better: Any = {x: first.better, y: second.better}
    members = pareto(values, better).members
    return Front((x, first), (y, second), tuple(points), frozenset(members), tuple(left_out))


def front_figure(found: Front) -> go.Figure:
    """Draw the points with their intervals; each carries the id of its row as customdata."""
    import plotly.graph_objects as go

    from workbench.charts import _style

    groups = (
        ("on the front", True, {"color": _style.BETTER, "size": 11}),
        ("others", False, {"color": _style.FAINT, "size": 8}),
    )
    traces = [_step_line(found, _style.FAINT)]
    for name, on_front, look in groups:
        chosen = [point for point in found.points if (point[0].label in found.members) == on_front]
        traces.append({
            "type": "scatter", "mode": "markers", "name": name, "marker": look, "cliponaxis": False,
            "x": [x.value for _, x, _ in chosen], "y": [y.value for _, _, y in chosen],
            "error_x": _bars([x for _, x, _ in chosen]), "error_y": _bars([y for _, _, y in chosen]),
            "customdata": [line.view.row_id for line, _, _ in chosen], "text": [line.label for line, _, _ in chosen],
            "hovertemplate": "%{text}<br>%{x}, %{y}<extra></extra>",
        })  # fmt: skip
    named = [_axis(*each) for each in (found.x, found.y)]
    wide = [_is_wide([point[place].value for point in found.points]) for place in (1, 2)]  # type: ignore[union-attr]
    axes = [
        {
            "title": {"text": each.label},
            "type": "log" if each.log and is_wide else "linear",
            "tickformat": each.tick_format,
        }
        for each, is_wide in zip(named, wide)
    ]
    alt = f"{named[1].label} over {named[0].label}, {len(found.points)} points; on the front: {', '.join(sorted(found.members))}"
    return _style.finish(go.Figure(traces), alt=alt, xaxis=axes[0], yaxis=axes[1])


def _axes(lines: Sequence[Line]) -> tuple[str, str] | None:
    """Choose a metric of which less is better and another: what is usual first, then what most lines have."""
    counts: Counter[str] = Counter(name for line in lines for name in line.metrics)
    better = {name: metric.better for line in lines for name, metric in line.metrics.items()}
    costs = _ordered([name for name in counts if better[name] == "lower"], PREFERRED_COSTS, counts)
    qualities = _ordered([name for name in counts if better[name] == "higher"], PREFERRED_QUALITIES, counts)
    qualities += [name for name in costs if name in PREFERRED_QUALITIES]
    for x in costs:
        for y in qualities:
            if x != y and any(x in line.metrics and y in line.metrics for line in lines):
                return x, y
    return None


def _ordered(names: list[str], preferred: Sequence[str], counts: Counter[str]) -> list[str]:
    known = {name: place for place, name in enumerate(preferred)}
    return sorted(names, key=lambda name: (known.get(name, len(known)), -counts[name]))


def _step_line(found: Front, colour: str) -> dict[str, Any]:
    members = sorted((x.value, y.value) for line, x, y in found.points if line.label in found.members)
    return {
        "type": "scatter", "mode": "lines", "line": {"shape": "hv", "dash": "dot", "width": 1, "color": colour},
        "x": [x for x, _ in members], "y": [y for _, y in members], "hoverinfo": "skip", "showlegend": False,
    }  # fmt: skip


def _bars(metrics: Sequence[Metric]) -> dict[str, Any]:
    if not any(metric.lo is not None and metric.hi is not None for metric in metrics):
        return {"visible": False}
    up = [metric.hi - metric.value if metric.hi is not None else 0 for metric in metrics]
    down = [metric.value - metric.lo if metric.lo is not None else 0 for metric in metrics]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1, "width": 0}


def _axis(name: str, metric: Metric) -> Any:
    """Return how the charts of runs draw a quantity: its label, its scale, its ticks."""
    from workbench.charts import _style
    from workbench.nouns import Measurement

    return _style.axis(Measurement(name, metric.unit or "1", metric.better, metric.value))


def _is_wide(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) > 30 * min(values)
