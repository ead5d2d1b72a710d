"""How much faster more processes are, beside what as many independent processes lose on the same machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.charts import _style

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class ScalingPoint:
    """One number of processes: throughput over that of one, median with the lowest and highest kept round."""

    processes: int
    together: tuple[float, float, float]
    independent: tuple[float, float, float]

    @property
    def efficiency(self) -> float:
        """What working together costs: throughput together over that of independent processes."""
        return self.together[0] / self.independent[0]


@dataclass(frozen=True)
class ScalingData:
    title: str
    points: tuple[ScalingPoint, ...]  # by number of processes
    rounds: int  # kept
    thrown: int  # rounds whose control was disturbed


def scaling_data(record: Mapping[str, Any]) -> ScalingData:
    """Return what to draw of a record of `workbench scale`."""
    import statistics

    points = [ScalingPoint(1, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))]
    for each in record["points"]:
        together, control = each["together"], each["independent"]
        if not together:
            continue  # every round was disturbed
        points.append(
            ScalingPoint(
                each["processes"],
                (statistics.median(together), min(together), max(together)),
                (statistics.median(control), min(control), max(control)),
            )
        )
    rounds = min((len(each["together"]) for each in record["points"]), default=0)
    return ScalingData(record["title"], tuple(points), rounds, record["thrown"])


def scaling_figure(data: ScalingData) -> go.Figure:
    """Draw both curves with their spread, and the line of no loss."""
    import plotly.graph_objects as go

    if len(data.points) < 2:
        return _style.nothing("no round was quiet enough to be kept")
    figure, numbers = go.Figure(), [point.processes for point in data.points]
    figure.add_trace(
        go.Scatter(x=numbers, y=numbers, mode="lines", name="no loss", line={"color": _style.FAINT, "dash": "dot"}, hoverinfo="skip")
    )  # fmt: skip
    looks = (
        ("independent", "as many independent processes", _style.COLOURS[1], "square"),
        ("together", "one training together", _style.COLOURS[0], "circle"),
    )
    for name, words, colour, shape in looks:
        rows = [getattr(point, name) for point in data.points]
        figure.add_trace(
            go.Scatter(
                x=numbers, y=[row[0] for row in rows], mode="lines+markers", name=words,
                line={"color": colour}, marker={"symbol": shape, "size": 9},
                error_y={"type": "data", "symmetric": False, "array": [row[2] - row[0] for row in rows],
                         "arrayminus": [row[0] - row[1] for row in rows], "color": colour},
                hovertemplate=f"%{{x}} processes, {words}: %{{y:.2f}} × the work of one<extra></extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(title_text="processes", tickvals=numbers)
    figure.update_yaxes(title_text="work in the same time (× that of one process)", rangemode="tozero")
    return _style.finish(figure, alt=in_words(data), height=360)


def in_words(data: ScalingData) -> str:
    """Return the efficiency at each number of processes."""
    told = ", ".join(
        f"{point.processes} processes {point.together[0]:.2f} × one ({point.efficiency:.0%} of what independent ones do)"
        for point in data.points
        if point.processes > 1
    )
    thrown = f"; {data.thrown} disturbed rounds thrown away" if data.thrown else ""
    return f"{data.title}: {told or 'no point yet'}. Medians of {data.rounds} rounds{thrown}."
