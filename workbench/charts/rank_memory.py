"""The bytes that each process of a layout needs, by what they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    "gathered": "gathered for use (estimate)",
    "activations": "activations (estimate)",
}
PATTERNS = {"gathered": "/", "activations": "."}


@dataclass(frozen=True)
class RankMemoryData:
    """Bytes by part of each process, rank 0 first; `one` is what training in one process would need."""

    ranks: tuple[Mapping[str, float], ...]
    one: float | None  # None = not known


def rank_memory_data(rank_bytes: Sequence[Mapping[str, float]], *, one: float | None = None) -> RankMemoryData:
    """Take what a layout expects of each process."""
    return RankMemoryData(tuple(rank_bytes), one)


def rank_memory_figure(data: RankMemoryData) -> go.Figure:
    """Draw one bar per process and a line at what one process alone would need."""
    import plotly.graph_objects as go

    if not data.ranks:
        return _style.nothing("this layout isn't legal")
    labels = [f"rank {rank}" for rank in range(len(data.ranks))]
    figure = go.Figure()
    for index, (part, words) in enumerate(WORDS.items()):
        values = [parts.get(part, 0.0) for parts in data.ranks]
        if any(values):
            figure.add_trace(
                go.Bar(
                    y=labels, x=values, name=words, orientation="h", uid=_style.uid("memory", part),
                    marker=_style.hatched(_style.COLOURS[index], PATTERNS.get(part, "")),
                    customdata=[wording.bytes_text(value) for value in values],
                    hovertemplate=f"%{{y}}: {words} %{{customdata}}<extra></extra>",
                )
            )  # fmt: skip
    if data.one:
        figure.add_vline(
            x=data.one, line={"color": _style.INK, "dash": "dot"}, annotation_text="one process", annotation_position="top left"
        )  # fmt: skip
    figure.update_xaxes(title_text="memory of a process (bytes)", tickformat="~s")
    return _style.finish_stacks(figure, len(labels), alt=in_words(data), top=30)


def in_words(data: RankMemoryData) -> str:
    """Return the fullest process in words."""
    totals = [sum(parts.values()) for parts in data.ranks]
    most = max(totals)
    told = f"The fullest of {len(totals)} processes needs about {wording.bytes_text(most)}"
    return f"{told}; one process alone {wording.bytes_text(data.one)}." if data.one else f"{told}."
