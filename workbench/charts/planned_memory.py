"""The bytes of a planned layout's fullest rank, by what they hold, beside those of a simulated one and the device's memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench import wording
from workbench.charts import _style

if TYPE_CHECKING:
    import plotly.graph_objects as go

WORDS = {
    "parameters": "parameters",
    "gradients": "gradients",
    "optimizer": "optimizer's states",
    "gathered": "gathered for use",
    "activations": "activations",
    "scores": "scores and their gradients",
    "temporary": "temporary",
}
COUNTED = ("parameters", "gradients", "optimizer")  # the rest is an estimate where it is planned
PLANNED, SIMULATED = "planned", "simulated"


@dataclass(frozen=True)
class PlannedMemoryData:
    """Bytes by part of each bar, and what a device has for it."""

    bars: Mapping[str, Mapping[str, float]]
    usable: float


def planned_memory_data(
    planned: Mapping[str, float], *, usable: float, simulated: Mapping[str, float] | None = None
) -> PlannedMemoryData:
    """Take what was worked out and, where the layout was checked, what its simulation held."""
    bars = {PLANNED: dict(planned), **({SIMULATED: dict(simulated)} if simulated else {})}
    return PlannedMemoryData(bars, usable)


def planned_memory_figure(data: PlannedMemoryData) -> go.Figure:
    """Draw stacked bars and a line at what is usable."""
    import plotly.graph_objects as go

    figure = go.Figure()
    labels = list(data.bars)
    for index, (part, words) in enumerate(WORDS.items()):
        values = [parts.get(part, 0.0) / 1e9 for parts in data.bars.values()]
        if any(values):
            figure.add_trace(
                go.Bar(
                    y=labels, x=values, name=words, orientation="h", uid=_style.uid("planned", part),
                    marker=_style.hatched(_style.COLOURS[index], "" if part in COUNTED else "/"),
                    customdata=[wording.bytes_text(1e9 * value) for value in values],
                    hovertemplate=f"%{{y}}: {words} %{{customdata}}<extra></extra>",
                )
            )  # fmt: skip
    usable = data.usable / 1e9
    figure.add_vline(
        x=usable, line={"color": _style.INK, "dash": "dot"}, annotation_text=f"usable {usable:.3g} GB", annotation_position="top"
    )  # fmt: skip
    figure.update_xaxes(title_text="memory of the fullest rank (10⁹ bytes)", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", type="category")
    return _style.finish(
        figure, alt=in_words(data), height=190 + 34 * len(labels), barmode="stack", legend={"traceorder": "normal"},
        margin={"b": 110, "t": 28},
    )  # fmt: skip


def in_words(data: PlannedMemoryData) -> str:
    """Return each bar's sum, and the difference where there are two."""
    sums = {name: sum(parts.values()) for name, parts in data.bars.items()}
    told = ", ".join(f"{name} {wording.bytes_text(size)}" for name, size in sums.items())
    if SIMULATED in sums:
        told += f" ({sums[SIMULATED] / sums[PLANNED] - 1:+.1%})".replace("-", wording.MINUS)
    return f"The fullest rank: {told}; usable {wording.bytes_text(data.usable)}."
