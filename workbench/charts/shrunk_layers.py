"""How far each matrix of a shrunk checkpoint moved, block by block: one line per kind of matrix."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.charts import _style

if TYPE_CHECKING:
    import plotly.graph_objects as go

_BLOCK = re.compile(r"^.*?\.(\d+)\.(.+?)(?:\.weight)?$")


@dataclass(frozen=True)
class ShrunkLayersData:
    """Relative errors ‖W − Ŵ‖ / ‖W‖ by kind of matrix, as (block, error); `others` lie outside of blocks."""

    kinds: Mapping[str, tuple[tuple[int, float], ...]]
    others: Mapping[str, float]


def shrunk_layers_data(record: Mapping[str, Any]) -> ShrunkLayersData:
    """Take the record of `workbench.shrink` (its shrink.json)."""
    kinds: dict[str, list[tuple[int, float]]] = {}
    others = {}
    for layer in (layer for shard in record["shards"].values() for layer in shard["layers"]):
        if "relative_error" not in layer:
            continue
        if found := _BLOCK.match(layer["name"]):
            kinds.setdefault(found[2], []).append((int(found[1]), layer["relative_error"]))
        else:
            others[layer["name"]] = layer["relative_error"]
    return ShrunkLayersData({name: tuple(sorted(values)) for name, values in sorted(kinds.items())}, others)


def shrunk_layers_figure(data: ShrunkLayersData) -> go.Figure:
    """Draw the error of each kind of matrix over the depth of the model."""
    import plotly.graph_objects as go

    if not data.kinds:
        return _style.nothing("no matrix of a block was changed on its own")
    figure = go.Figure()
    for index, (kind, values) in enumerate(data.kinds.items()):
        figure.add_trace(
            {"type": "scatter", "mode": "lines+markers", "name": kind, "uid": _style.uid("shrunk", kind),
             "x": [block for block, _ in values], "y": [error for _, error in values],
             "marker": {"color": _style.COLOURS[index % len(_style.COLOURS)], "symbol": _style.SHAPES[index % len(_style.SHAPES)], "size": 7},
             "line": {"color": _style.COLOURS[index % len(_style.COLOURS)], "width": 1.5},
             "hovertemplate": f"block %{{x}}, {kind}: %{{y:.2%}}<extra></extra>"}
        )  # fmt: skip
    return _style.finish(
        figure, alt=in_words(data), height=360,
        xaxis={"title": {"text": "block"}, "tickformat": "d"}, yaxis={"title": {"text": "‖W − Ŵ‖ / ‖W‖"}, "tickformat": ".1%", "rangemode": "tozero"},
    )  # fmt: skip


def in_words(data: ShrunkLayersData) -> str:
    """Return the matrix that moved most."""
    every = [(error, f"block {block}, {kind}") for kind, values in data.kinds.items() for block, error in values]
    every += [(error, name) for name, error in data.others.items()]
    if not every:
        return "No matrix was changed on its own."
    error, name = max(every)
    return f"Of {len(every)} matrices, {name} moved most: {error:.2%} of its norm."
