"""What became of each layer: its bytes before and after, and how well its weights were kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench import wording
from workbench.charts import _style
from workbench.errors import InvalidInput
from workbench.nouns import Layer

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLUMNS = {
    "layer": "layer", "kind": "kind", "shape": "shape", "params": "parameters", "size_bytes": "bytes",
    "share": "share of all bytes", "macs": "MACs per example", "density": "share not zero", "precision": "precision",
    "sqnr_db": "SQNR against the parent (dB)", "cosine": "cosine to the parent", "ms": "time (ms)",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One layer; None where something is not known, or can't be compared (a layer of another shape)."""

    layer: str
    kind: str
    shape: tuple[int, ...]
    params: int
    size_bytes: float
    share: float  # of the bytes of all layers
    macs: int | None
    density: float  # share of weights that are not zero
    precision: str
    sqnr_db: float | None  # 20 dB: the error is a tenth of the weights
    cosine: float | None
    ms: float | None
    bytes_before: float | None


@dataclass(frozen=True)
class LayersData:
    """Rows from the worst SQNR on, those without one last, larger ones first."""

    rows: tuple[Row, ...]
    total_bytes: float
    total_before: float | None  # None when the parent's layers aren't given


def layers_data(
    records: Sequence[Mapping[str, Any]],
    *,
    parent: Sequence[Mapping[str, Any]] = (),
    layers: Sequence[Layer] = (),
) -> LayersData:
    """Join per-layer records with those of the parent and with the layers of a card (MACs, precision), by name.

    Records have `layer, kind, shape, num_params, bytes, nonzero` and, where known, `sqnr_db, cosine, ms`. Raises
    InvalidInput when there are none.
    """
    if not records:
        raise InvalidInput(["no layer was recorded"], next_move="run it with metric layers")
    known, before = {layer.name: layer for layer in layers}, {str(each["layer"]): each for each in parent}
    total = float(sum(each["bytes"] for each in records))
    rows = [_row(each, known.get(str(each["layer"])), before.get(str(each["layer"])), total) for each in records]
    rows.sort(key=lambda row: (row.sqnr_db is None, row.sqnr_db or 0.0, -row.size_bytes, row.layer))
    return LayersData(tuple(rows), total, float(sum(each["bytes"] for each in parent)) if parent else None)


def layers_table(data: LayersData) -> list[dict[str, str]]:
    """Return rows of text under the headings of COLUMNS, in the order of `data`."""
    return [
        {
            "layer": row.layer, "kind": row.kind, "shape": " × ".join(map(str, row.shape)), "parameters": f"{row.params:,}",
            "bytes": wording.bytes_text(row.size_bytes), "share of all bytes": f"{row.share:.1%}",
            "MACs per example": _or_dash(row.macs, ",.0f"), "share not zero": f"{row.density:.1%}",
            "precision": row.precision or "–", "SQNR against the parent (dB)": _or_dash(row.sqnr_db, ".1f"),
            "cosine to the parent": _or_dash(row.cosine, ".4f"), "time (ms)": _or_dash(row.ms, ".3g"),
        }
        for row in data.rows
    ]  # fmt: skip


def layers_figure(data: LayersData, *, most: int = 40) -> go.Figure:
    """Draw two bars per layer, before and after, with the SQNR beside them; customdata is the layer's name."""
    import plotly.graph_objects as go

    shown = data.rows[:most]
    names = [_style.tail(row.layer, 24) for row in shown]
    bar: dict[str, Any] = {
        "orientation": "h",
        "y": list(range(len(shown))),
        "customdata": [row.layer for row in shown],
        "hoverinfo": "text",
    }
    after = {
        **bar, "x": [row.size_bytes for row in shown], "name": "after", "hovertext": [_hover(row) for row in shown],
        "text": [_kept(row) for row in shown], "textposition": "outside", "cliponaxis": False,
        "marker": {"color": _style.BETTER, "line": {"color": _style.INK, "width": 0.5}},
    }  # fmt: skip
    before = {
        **bar, "x": [row.bytes_before for row in shown], "name": "before", "hovertext": [_hover(row) for row in shown],
        "marker": {"color": "white", "pattern": {"shape": "/", "fgcolor": _style.FAINT}, "line": {"color": _style.FAINT, "width": 1}},
    }  # fmt: skip
    largest = max(max(row.size_bytes, row.bytes_before or 0.0) for row in shown)
    compared = data.total_before is not None
    note = {"text": f"{len(shown)} of {len(data.rows)} layers, the worst SQNR first", "x": 0, "y": 1, "xref": "paper",
            "yref": "paper", "xanchor": "left", "yanchor": "bottom", "showarrow": False, "font": {"size": 11}}  # fmt: skip
    return _style.finish(
        go.Figure([{"type": "bar", **trace} for trace in ([before, after] if compared else [after])]),
        alt=_in_words(data), height=150 + (34 if compared else 24) * len(shown), barmode="group", bargap=0.25,
        xaxis={"title": {"text": "bytes of the layer"}, "tickformat": "~s", "range": [0, 1.3 * largest]},
        yaxis={"title": {"text": "layer", "standoff": 8}, "tickvals": list(range(len(shown))), "ticktext": names,
               "autorange": "reversed", "showgrid": False, "ticks": ""},
        showlegend=compared, margin={"t": 30, "b": 90 if compared else 70}, annotations=[note],
    )  # fmt: skip


def _row(record: Mapping[str, Any], layer: Layer | None, before: Mapping[str, Any] | None, total: float) -> Row:
    params = int(record["num_params"])
    return Row(
        str(record["layer"]), str(record["kind"]), tuple(record["shape"]), params, float(record["bytes"]),
        float(record["bytes"]) / total if total else 0.0, layer.macs if layer else None,
        record["nonzero"] / params if params else 1.0, str(record.get("precision") or (layer.precision if layer else "")),
        record.get("sqnr_db"), record.get("cosine"), record.get("ms"), float(before["bytes"]) if before else None,
    )  # fmt: skip


def _or_dash(value: float | None, spec: str) -> str:
    return "–" if value is None else format(value, spec)


def _kept(row: Row) -> str:
    return "not compared" if row.sqnr_db is None else f"{row.sqnr_db:.1f} dB"


def _hover(row: Row) -> str:
    before = "" if row.bytes_before is None else f"{wording.bytes_text(row.bytes_before)} → "
    facts = [
        f"<b>{row.layer}</b> ({row.kind}, {' × '.join(map(str, row.shape))})",
        f"{before}{wording.bytes_text(row.size_bytes)}, {row.share:.1%} of all bytes",
        f"{row.params:,} parameters, {row.density:.1%} not zero" + (f", {row.precision}" if row.precision else ""),
        f"SQNR {_kept(row)}" + ("" if row.cosine is None else f", cosine {row.cosine:.4f}"),
    ]
    facts += [] if row.macs is None else [f"{row.macs:,} multiply-accumulates per example"]
    facts += [] if row.ms is None else [f"{row.ms:.3g} ms"]
    return "<br>".join(facts)


def _in_words(data: LayersData) -> str:
    worst = "; ".join(f"{row.layer} {_kept(row)}, {wording.bytes_text(row.size_bytes)}" for row in data.rows[:5])
    before = "" if data.total_before is None else f"{wording.bytes_text(data.total_before)} before, "
    after = wording.bytes_text(data.total_bytes)
    return f"Bytes of {len(data.rows)} layers: {before}{after} after. Worst SQNR first: {worst}."
