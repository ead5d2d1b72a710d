"""How the weights of a layer are spread, before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.charts import _style
from workbench.errors import InvalidInput
from workbench.params import did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import plotly.graph_objects as go

SPIKE = 0.3  # a bin with so large a share (pruned zeros) would flatten all others on a linear scale
COLUMNS = 2


@dataclass(frozen=True)
class Histogram:
    """`before` and `after`: share of the layer's weights in each bin; before is None without a parent to compare with."""

    layer: str
    edges: np.ndarray  # (bins + 1,)
    before: np.ndarray | None
    after: np.ndarray
    zeros: float  # share of weights that are exactly zero, after


@dataclass(frozen=True)
class WeightsData:
    histograms: tuple[Histogram, ...]


def weights_data(records: Sequence[Mapping[str, Any]], layers: Sequence[str] = ()) -> WeightsData:
    """Return the histograms of the named layers (none named: of all that have one), in the order of the records.

    Records have `layer, num_params, nonzero, hist_edges, hist_after` and, where there is a parent, `hist_before`.
    Raises InvalidInput for a layer that was not recorded.
    """
    known = {str(record["layer"]): record for record in records if record.get("hist_after") is not None}
    if problems := [
        f"no weights of layer {name!r} were recorded{did_you_mean(name, known)}" for name in layers if name not in known
    ]:
        raise InvalidInput(problems)
    if not known:
        raise InvalidInput(["no weights were recorded"], next_move="run it with metric layers")
    return WeightsData(tuple(_histogram(record) for name, record in known.items() if not layers or name in layers))


def weights_figure(data: WeightsData, *, most: int = 12) -> go.Figure:
    """Draw before as a filled area and after as a dark outline; one panel per layer."""
    from plotly.subplots import make_subplots

    shown = data.histograms[:most]
    num_columns = min(COLUMNS, len(shown))
    num_rows = -(-len(shown) // num_columns)
    titles = [f"<b>{_style.tail(each.layer, 24)}</b>, {each.zeros:.0%} zeros" for each in shown]
    figure = make_subplots(
        rows=num_rows,
        cols=num_columns,
        subplot_titles=titles,
        vertical_spacing=0.36 / num_rows,
        horizontal_spacing=0.16,
    )
    figure.update_annotations(font_size=12)
    traces = [trace for index, each in enumerate(shown) for trace in _traces(each, index)]
    figure.add_traces(traces)
    axes: dict[str, Any] = {}
    for index, each in enumerate(shown):
        number = str(index + 1) if index else ""
        bottom = index + num_columns >= len(shown)
        axes[f"xaxis{number}"] = {"title": {"text": "weight" if bottom else ""}, "nticks": 5}
        spiked = max(float(each.after.max()), 0.0 if each.before is None else float(each.before.max())) > SPIKE
        scale = {"type": "log", "dtick": 1, "exponentformat": "power"} if spiked else {}
        title = f"weights (%{', log' if spiked else ''})"
        axes[f"yaxis{number}"] = {
            "title": {"text": title, "font": {"size": 12}},
            "ticksuffix": "",
            "tickformat": "~g",
            **scale,
        }
    return _style.finish(figure, alt=_in_words(shown), height=90 + 230 * num_rows, margin={"t": 40, "b": 80}, **axes)


def _histogram(record: Mapping[str, Any]) -> Histogram:
    import numpy as np

    before = record.get("hist_before")
    count = int(record["num_params"])
    return Histogram(
        str(record["layer"]), np.asarray(record["hist_edges"], float), None if before is None else _shares(before),
        _shares(record["hist_after"]), 1 - record["nonzero"] / count if count else 0.0,
    )  # fmt: skip


def _shares(counts: Any) -> np.ndarray:
    import numpy as np

    found = np.asarray(counts, float)
    return found / (found.sum() or 1.0)


def _traces(histogram: Histogram, index: int) -> list[dict[str, Any]]:
    import numpy as np

    number = str(index + 1) if index else ""
    where = {"xaxis": f"x{number}", "yaxis": f"y{number}", "type": "scatter", "mode": "lines", "showlegend": index == 0}
    x = np.repeat(histogram.edges, 2)[1:-1]
    hover = (
        f"<b>{histogram.layer}</b><br>weight %{{x:.3g}}: %{{y:.2f}} % of its weights<extra>%{{fullData.name}}</extra>"
    )
    common = {**where, "x": x, "hovertemplate": hover, "customdata": [histogram.layer] * len(x)}
    filled = {
        "fill": "tozeroy",
        "fillcolor": _style.faint(_style.FAINT, 0.35),
        "line": {"color": _style.FAINT, "width": 1},
    }
    after = {**common, "y": _outline(histogram.after), "name": "after", "line": {"color": _style.BETTER, "width": 2}}
    if histogram.before is None:
        return [after]
    return [{**common, "y": _outline(histogram.before), "name": "before (parent)", **filled}, after]


def _outline(shares: np.ndarray) -> np.ndarray:
    """Return the upper edge of the bins in per cent; empty bins are gaps, which a log scale can show."""
    import numpy as np

    return np.repeat(np.where(shares > 0, 100 * shares, np.nan), 2)


def _in_words(shown: Sequence[Histogram]) -> str:
    told = "; ".join(
        f"{each.layer}: from {each.edges[0]:.3g} to {each.edges[-1]:.3g}, {each.zeros:.0%} zeros after"
        for each in shown
    )
    return f"Histograms of weights, before and after: {told}."
