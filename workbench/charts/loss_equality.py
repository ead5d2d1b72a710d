"""Losses of the same training, done in different ways: one line each, and how far apart they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.charts import _style

if TYPE_CHECKING:
    import plotly.graph_objects as go

DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class LossEqualityData:
    """`curves`: label → (update, loss) rows. `gaps`: label → (largest difference to the first curve, updates compared)."""

    curves: Mapping[str, Sequence[tuple[int, float]]]
    gaps: Mapping[str, tuple[float, int]]


def loss_equality_data(curves: Mapping[str, Sequence[tuple[int, float]]]) -> LossEqualityData:
    """Hold every curve against the first, at the updates that both have told of."""
    known = {label: rows for label, rows in curves.items() if rows}
    reference = dict(next(iter(known.values()), ()))
    gaps = {}
    for label, rows in list(known.items())[1:]:
        apart = [abs(loss - reference[update]) for update, loss in rows if update in reference]
        if apart:
            gaps[label] = max(apart), len(apart)
    return LossEqualityData(known, gaps)


def loss_equality_figure(data: LossEqualityData) -> go.Figure:
    """Draw a line per curve."""
    import plotly.graph_objects as go

    if not data.curves:
        return _style.nothing("no update is done yet")
    figure = go.Figure()
    for index, (label, rows) in enumerate(data.curves.items()):
        figure.add_trace(
            go.Scatter(
                x=[update for update, _ in rows], y=[loss for _, loss in rows], name=label, uid=_style.uid("loss", index),
                mode="lines" if len(rows) > 1 else "markers",
                line={"color": _style.COLOURS[index % len(_style.COLOURS)], "dash": DASHES[index % len(DASHES)], "width": 2},
                hovertemplate=f"{label}: loss %{{y:.5g}} at update %{{x}}<extra></extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(title_text="update")
    figure.update_yaxes(title_text="loss of the update (nats)")
    return _style.finish(figure, alt=in_words(data), height=300, showlegend=True, margin={"b": 90, "t": 10})


def in_words(data: LossEqualityData) -> str:
    """Return the differences in words."""
    labels = list(data.curves)
    if not data.gaps:
        return f"Loss of {labels[0]}." if labels else "No loss yet."
    told = "; ".join(f"{label} {gap:.2g} in {num} updates" for label, (gap, num) in data.gaps.items())
    return f"Largest difference of the loss to {labels[0]}: {told}."
