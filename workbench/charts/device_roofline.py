"""Where the layers of a model stand under a device's roofline, while it reads a prompt and while it writes tokens.

Source: Williams, Waterman & Patterson, CACM 52(4), 2009. Nothing here is measured: each point lies on its ceiling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from workbench.charts import _style

if TYPE_CHECKING:
    import plotly.graph_objects as go

PHASES = {"prompt": ("reading the prompt", "circle"), "token": ("writing a token", "diamond")}


class Counted(Protocol):
    """A kind of layer with its work, as `workbench.plan.intensity` counts it."""

    @property
    def name(self) -> str: ...
    @property
    def phase(self) -> str: ...
    @property
    def flops(self) -> float: ...
    @property
    def intensity(self) -> float: ...


@dataclass(frozen=True)
class Point:
    """A kind of layer at its intensity; `reachable` are 10¹² operations per second, `share` that of the device's peak."""

    name: str
    phase: str
    intensity: float  # operations per byte
    reachable: float
    share: float
    limited_by: str  # memory | arithmetic


@dataclass(frozen=True)
class DeviceRooflineData:
    """`peak` is in 10¹² operations per second, `bandwidth` in 10⁹ bytes per second."""

    title: str
    peak: float
    bandwidth: float
    points: tuple[Point, ...]

    @property
    def ridge(self) -> float:
        """Operations per byte from which arithmetic limits, not memory."""
        return 1e3 * self.peak / self.bandwidth


def device_roofline_data(works: Sequence[Counted], *, title: str, flops: float, bandwidth: float) -> DeviceRooflineData:
    """Place layers under the ceiling of `flops` per second and `bandwidth` bytes per second."""
    points = []
    for work in works:
        reachable = min(flops, work.intensity * bandwidth)
        limit = "arithmetic" if reachable == flops else "memory"
        points.append(Point(work.name, work.phase, work.intensity, reachable / 1e12, reachable / flops, limit))
    return DeviceRooflineData(title, flops / 1e12, bandwidth / 1e9, tuple(points))


def device_roofline_figure(data: DeviceRooflineData) -> go.Figure:
    """Draw the ceiling as a line and each kind of layer as a point on it, one shape per phase, one colour per kind."""
    import plotly.graph_objects as go

    xs = [point.intensity for point in data.points]
    low, high = min([*xs, data.ridge]) / 3, max([*xs, data.ridge]) * 3
    line = [low, data.ridge, high]
    figure = go.Figure(
        {"type": "scatter", "mode": "lines", "x": line, "y": [min(data.peak, 1e-3 * x * data.bandwidth) for x in line],
         "name": f"ceiling: {data.peak:,.4g} · 10¹² / s, {data.bandwidth:,.0f} GB/s", "hoverinfo": "skip",
         "line": {"color": _style.INK, "width": 1.5}, "uid": _style.uid("ceiling")}
    )  # fmt: skip
    names = list(dict.fromkeys(point.name for point in data.points))
    for point in data.points:
        words, shape = PHASES[point.phase]
        figure.add_trace(
            {"type": "scatter", "mode": "markers", "x": [point.intensity], "y": [point.reachable],
             "name": f"{point.name}, {words}", "uid": _style.uid(point.name, point.phase), "hoverinfo": "text",
             "hovertext": [_hover(point)],
             "marker": {"color": _style.COLOURS[names.index(point.name)], "symbol": shape, "size": 12,
                        "line": {"color": _style.INK, "width": 0.8}}}
        )  # fmt: skip
    log = {"type": "log", "dtick": 1, "tickformat": "~g"}
    return _style.finish(
        figure, alt=in_words(data), height=340 + 14 * len(data.points), margin={"t": 30, "b": 190},
        xaxis={"title": {"text": "operations per byte read"}, **log},
        yaxis={"title": {"text": "10¹² operations / s"}, **log},
        annotations=[{"text": f"{data.title}; worked out, not measured", "x": 0, "y": 1, "xref": "paper", "yref": "paper",
                      "xanchor": "left", "yanchor": "bottom", "showarrow": False, "font": {"size": 11}}],
    )  # fmt: skip


def in_words(data: DeviceRooflineData) -> str:
    """Return which kinds of layers memory limits in which phase."""
    told = []
    for phase, (words, _) in PHASES.items():
        names = [point.name for point in data.points if point.phase == phase and point.limited_by == "memory"]
        told.append(f"{words}, memory limits {', '.join(names) if names else 'nothing'}")
    return (
        f"{data.title}: from {data.ridge:.3g} operations per byte on arithmetic limits. While {'; while '.join(told)}."
    )


def _hover(point: Point) -> str:
    words, _ = PHASES[point.phase]
    return (
        f"<b>{point.name}</b>, {words}<br>{point.intensity:.3g} operations per byte<br>at most {point.reachable:.3g} · 10¹² "
        f"operations per second, {point.share:.1%} of the peak<br>{point.limited_by} limits"
    )
