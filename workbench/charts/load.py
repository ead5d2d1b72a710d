"""Latency against the rate of requests that come whether the server keeps up or not, and where it saturates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.charts import _style

if TYPE_CHECKING:
    import plotly.graph_objects as go

DASHES = {"p50": "solid", "p95": "dash", "p99": "dashdot", "p99.9": "dot"}
TICKS = [digit * 10.0**power for power in range(-2, 6) for digit in (1, 2, 5)]  # plotly's own say "2" for 20


@dataclass(frozen=True)
class LoadCurve:
    """One percentile over the rates at which it is known."""

    name: str  # p50 …
    rates: tuple[float, ...]  # requests due per second
    ms: tuple[float, ...]


@dataclass(frozen=True)
class LoadData:
    """Curves, and the rates that the server kept up with or didn't."""

    curves: tuple[LoadCurve, ...]
    saturation: float | None  # requests per second; None = not even the lowest rate was kept up with
    first_too_much: float | None  # None = no rate was
    behind: tuple[float, ...]
    missing: str  # which percentiles are not known at how many rates, in words


def load_data(record: Mapping[str, Any]) -> LoadData:
    """Return what to draw of a record of `workbench load`."""
    steps: Sequence[Mapping[str, Any]] = record["steps"]
    names = [name for name in DASHES if any(name in step["percentiles_ms"] for step in steps)]
    curves, missing = [], list[str]()
    for name in names:
        known = [
            (step["rate"], step["percentiles_ms"][name]) for step in steps if step["percentiles_ms"][name] is not None
        ]
        if len(known) < len(steps):
            missing.append(f"{name} at {len(steps) - len(known)} of {len(steps)} rates")
        if known:
            rates, ms = zip(*known)
            curves.append(LoadCurve(name, rates, ms))
    behind = tuple(step["rate"] for step in steps if not step["keeps_up"])
    return LoadData(tuple(curves), record["saturation"], record["first_too_much"], behind, _why(missing))


def load_figure(data: LoadData) -> go.Figure:
    """Draw one line per percentile on log scales; rates that were too much are shaded."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for index, curve in enumerate(data.curves):
        figure.add_trace(
            go.Scatter(
                x=curve.rates, y=curve.ms, mode="lines+markers", name=curve.name,
                line={"color": _style.COLOURS[index], "dash": DASHES[curve.name]}, marker={"symbol": _style.SHAPES[index], "size": 8},
                hovertemplate=f"{curve.name} %{{y:.3g}} ms at %{{x:,.4~g}} requests/s<extra></extra>",
            )
        )  # fmt: skip
    if data.first_too_much is not None and data.curves:
        right = max(max(curve.rates) for curve in data.curves) * 1.1
        figure.add_vrect(
            x0=data.first_too_much, x1=max(right, data.first_too_much * 1.1), fillcolor=_style.FAINT, opacity=0.15, line_width=0,
            annotation_text="falls behind", annotation_position="top left",
        )  # fmt: skip
    figure.update_xaxes(title_text="requests due (per second)", type="log", tickvals=TICKS, tickformat=",~g")
    figure.update_yaxes(title_text="latency from when it was due (ms)", type="log", tickvals=TICKS, tickformat=",~g")
    return _style.finish(figure, alt=f"Latency under load. {summary(data)}")


def summary(data: LoadData) -> str:
    """Return the saturation point in words."""
    if data.saturation is None:
        return "The server fell behind at every rate."
    if data.first_too_much is None:
        return f"The server kept up with every rate, up to {data.saturation:,.4g} requests/s."
    return f"The server kept up with {data.saturation:,.4g} requests/s and fell behind at {data.first_too_much:,.4g}."


def _why(missing: Sequence[str]) -> str:
    return f"{', '.join(missing)}: too few requests, or too many failed" if missing else ""
