"""Every planned layout: what a rank holds against what all of them do in a second; those that fit are lit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.charts import _style

if TYPE_CHECKING:
    import plotly.graph_objects as go

AXES = ("replicate", "shard", "tensor", "pipeline")


@dataclass(frozen=True)
class Spot:
    """One layout; `index` is its place in the plan."""

    index: int
    title: str
    memory_gb: float  # of the fullest rank, 10⁹ bytes
    tokens_per_second: float
    fits: bool
    limit: str


@dataclass(frozen=True)
class LayoutsData:
    """`usable_gb` is what a device has for it; `chosen` is a spot's index."""

    spots: tuple[Spot, ...]
    usable_gb: float
    chosen: int | None  # None = none


def layouts_data(planned: Sequence[Mapping[str, Any]], *, usable: float, chosen: int | None = None) -> LayoutsData:
    """Take the records of `workbench.plan.training` and the usable bytes of a device."""
    spots = tuple(
        Spot(index, title_of(each["layout"]), each["memory_bytes"] / 1e9, each["tokens_per_second"], each["fits"], each["limit"])
        for index, each in enumerate(planned)
    )  # fmt: skip
    return LayoutsData(spots, usable / 1e9, chosen)


def title_of(layout: Mapping[str, Any]) -> str:
    """Return the axes in words, as in `shard 8 × tensor 4, recomputed`."""
    told = " × ".join(f"{axis} {layout[axis]}" for axis in AXES if layout[axis] > 1) or "one device"
    return told + (", recomputed" if layout["recompute"] else "")


def layouts_figure(data: LayoutsData) -> go.Figure:
    """Draw one point per layout, a line at the device's memory, and a ring around the chosen one."""
    import plotly.graph_objects as go

    if not data.spots:
        return _style.nothing("there is no legal layout")
    figure = go.Figure()
    for fits, name, colour, shape in (
        (True, "fits", _style.BETTER, "circle"),
        (False, "does not fit", _style.FAINT, "x"),
    ):
        spots = [spot for spot in data.spots if spot.fits is fits]
        if spots:
            figure.add_trace(_points(spots, name, {"color": colour, "symbol": shape, "size": 9 if fits else 7}))
    if data.chosen is not None:
        ring = {"color": "rgba(0,0,0,0)", "symbol": "circle", "size": 17, "line": {"color": _style.WORSE, "width": 2.5}}
        figure.add_trace(_points([data.spots[data.chosen]], "chosen", ring))
    log = {"type": "log", "tickformat": "~s", "dtick": "D2"}
    line = {"color": _style.INK, "dash": "dot", "width": 1.5}
    words = f"usable {data.usable_gb:.3g} GB"
    return _style.finish(
        figure, alt=in_words(data), height=380, margin={"t": 34},
        xaxis={"title": {"text": "memory of the fullest rank (10⁹ bytes)"}, **log},
        yaxis={"title": {"text": "tokens per second"}, **log},
        shapes=[{"type": "line", "x0": data.usable_gb, "x1": data.usable_gb, "y0": 0, "y1": 1, "yref": "paper", "line": line}],
        annotations=[{"text": words, "x": math.log10(data.usable_gb), "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False}],
    )  # fmt: skip


def in_words(data: LayoutsData) -> str:
    """Return how many fit, and the fastest of them."""
    fit = [spot for spot in data.spots if spot.fits]
    told = f"{len(data.spots)} legal layouts, {len(fit)} fit into {data.usable_gb:.3g} GB a device."
    if not fit:
        return f"{told} The smallest needs {min(spot.memory_gb for spot in data.spots):.3g} GB."
    best = max(fit, key=lambda spot: spot.tokens_per_second)
    return f"{told} The fastest is {best.title}: {best.tokens_per_second:,.0f} tokens per second."


def _points(spots: Sequence[Spot], name: str, marker: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "name": name, "uid": _style.uid("layouts", name), "marker": dict(marker),
        "x": [spot.memory_gb for spot in spots], "y": [spot.tokens_per_second for spot in spots],
        "customdata": [spot.index for spot in spots], "hoverinfo": "text",
        "hovertext": [f"<b>{spot.title}</b><br>{spot.memory_gb:.3g} GB a rank<br>{spot.tokens_per_second:,.0f} tokens/s<br>{spot.limit}"
                      for spot in spots],
    }  # fmt: skip
