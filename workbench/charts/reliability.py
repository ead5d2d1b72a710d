"""How right the estimates were: what was predicted before a run against what it measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench import table, wording
from workbench.charts import _style
from workbench.charts.estimated import predicted
from workbench.nouns import Cost, Run

if TYPE_CHECKING:
    import plotly.graph_objects as go

QUANTITIES = {"artifact_bytes": "size", "latency_ms_p50": "latency", "peak_memory_bytes": "memory"}
USUAL = ("artifact_bytes", "latency_ms_p50")


@dataclass(frozen=True)
class Pair:
    """One prediction and what came of it; ends are None where no band was predicted."""

    run_id: str
    label: str
    method: str
    predicted: float
    low: float | None
    high: float | None
    measured: float

    @property
    def ratio(self) -> float:
        """Predicted / measured."""
        return self.predicted / self.measured

    @property
    def inside(self) -> bool | None:
        """Whether the band held what was measured; None without a band."""
        return None if self.low is None or self.high is None else self.low <= self.measured <= self.high


@dataclass(frozen=True)
class Quantity:
    """All predictions of one quantity."""

    name: str
    unit: str
    pairs: tuple[Pair, ...]

    @property
    def words(self) -> str:
        """Say how many bands held, and by how much the middle was off."""
        banded = [pair for pair in self.pairs if pair.inside is not None]
        held = sum(bool(pair.inside) for pair in banded)
        ratios = sorted(pair.ratio for pair in self.pairs)
        share = (
            f"{held} of {len(banded)} inside the band ({held / len(banded):.0%}); " if banded else "no band predicted; "
        )
        return f"{QUANTITIES[self.name]}: {share}predicted / measured from {ratios[0]:.2f} to {ratios[-1]:.2f}"


@dataclass(frozen=True)
class ReliabilityData:
    """`missing` holds (run id, why) of runs that have no pair."""

    quantities: tuple[Quantity, ...]
    missing: tuple[tuple[str, str], ...]


def reliability_data(
    runs: Sequence[Run],
    costs: Mapping[str, Cost],
    *,
    size_bands: Mapping[str, tuple[float, float]] | None = None,
    names: Sequence[str] = USUAL,
) -> ReliabilityData:
    """Hold the estimates (`costs`, by run id) against the measurements of the runs.

    `size_bands` holds the ends of the bytes by run id (`workbench.estimate.artifact_band`). A latency counts only where
    it was taken as estimated: batch 1 on one thread.
    """
    quantities = []
    for name in names:
        pairs = [
            _pair(run, found, value)
            for run in runs
            if run.run_id in costs
            and (found := predicted(costs[run.run_id], name, (size_bands or {}).get(run.run_id)))
            and (value := _measured(run, name))
        ]
        if pairs:
            quantities.append(Quantity(name, "ms" if name.startswith("latency") else "bytes", tuple(pairs)))
    paired = {pair.run_id for quantity in quantities for pair in quantity.pairs}
    missing = [
        (run.run_id, "it was not estimated" if run.run_id not in costs else "nothing that was estimated was measured")
        for run in runs
        if run.run_id not in paired
    ]
    return ReliabilityData(tuple(quantities), tuple(missing))


def reliability_figure(data: ReliabilityData) -> go.Figure:
    """Draw measured over predicted, with bands, and the line where both are equal; a ring = outside its band."""
    from plotly.subplots import make_subplots

    if not data.quantities:
        return _style.nothing("no run has both an estimate and a measurement")
    count = len(data.quantities)
    figure = make_subplots(rows=1, cols=count, horizontal_spacing=0.16)
    layout: dict[str, Any] = {"annotations": []}
    methods: set[str] = set()
    for index, quantity in enumerate(data.quantities):
        number = str(index + 1) if index else ""
        figure.add_traces(_traces(quantity, number, methods))
        values = [pair.measured for pair in quantity.pairs]
        step = 1 if max(values) > 50 * min(values) else "D2"
        unit = {"type": "log", "dtick": step, "tickformat": "~s" if quantity.unit == "bytes" else "~g", "tickangle": 0}
        what = f"{QUANTITIES[quantity.name]} ({quantity.unit})"
        layout[f"xaxis{number}"] = {"title": {"text": f"estimated {what}"}, **unit}
        layout[f"yaxis{number}"] = {"title": {"text": f"measured {what}"}, **unit}
        words = _style.wrapped(quantity.words, 90 if count == 1 else 42)
        layout["annotations"].append(
            {"text": words, "x": 0, "y": 1.02, "xref": f"x{number} domain", "yref": "paper", "xanchor": "left",
             "yanchor": "bottom", "align": "left", "showarrow": False, "font": {"size": 11}}
        )  # fmt: skip
    alt = f"Estimates against measurements. {'; '.join(quantity.words for quantity in data.quantities)}."
    rows = -(-sum(bool(trace.showlegend) for trace in figure.data) // 2)
    return _style.finish(figure, alt=alt, height=400 + 18 * rows, margin_t=66, **layout)


def _measured(run: Run, name: str) -> float | None:
    """Return a measured value; 0 can't be drawn and counts as none."""
    if name.startswith("latency"):
        found = run.get(name, threads=1, batch=1)
    else:
        found = run.get(name)
    return found.value or None if found else None


def _pair(run: Run, found: Any, value: float) -> Pair:
    low, high = found.band or (None, None)
    return Pair(run.run_id, _style.run_label(run), table.method_text(run), found.value, low, high, value)


def _traces(quantity: Quantity, number: str, methods: set[str]) -> list[dict[str, Any]]:
    import numpy as np

    where = {"type": "scatter", "xaxis": f"x{number}", "yaxis": f"y{number}"}
    ends = [end for pair in quantity.pairs for end in (pair.predicted, pair.low, pair.high, pair.measured) if end]
    line = [min(ends) / 1.3, max(ends) * 1.3]
    ink = {"color": _style.INK, "width": 1, "dash": "dot"}
    traces: list[dict[str, Any]] = [
        {**where, "x": line, "y": line, "mode": "lines", "line": ink, "name": "as estimated", "hoverinfo": "skip",
         "showlegend": not number}
    ]  # fmt: skip
    groups: dict[str, list[Pair]] = {}
    for pair in quantity.pairs:
        groups.setdefault(pair.method, []).append(pair)
    for method, pairs in sorted(groups.items()):
        look, middle = _style.marker(method), np.array([pair.predicted for pair in pairs])
        low = np.array([pair.predicted if pair.low is None else pair.low for pair in pairs])
        high = np.array([pair.predicted if pair.high is None else pair.high for pair in pairs])
        band = {"type": "data", "symmetric": False, "array": high - middle, "arrayminus": middle - low, "width": 0}
        traces.append(
            {**where, "x": middle, "y": np.array([pair.measured for pair in pairs]), "mode": "markers", "name": method,
             "legendgroup": method, "showlegend": method not in methods,
             "error_x": {**band, "thickness": 4, "color": _style.faint(look.colour, 0.35)},
             "marker": {"color": look.colour, "size": 10, "line": {"width": 0.6, "color": _style.INK}, "symbol": look.shape},
             "customdata": _style.objects(pair.run_id for pair in pairs), "hoverinfo": "text",
             "hovertext": _style.objects(_hover(pair, quantity) for pair in pairs)}
        )  # fmt: skip
        methods.add(method)
    return [*traces, {**where, **_outside(quantity, methods)}]


def _outside(quantity: Quantity, methods: set[str]) -> dict[str, Any]:
    """Return rings around the predictions whose band did not hold what was measured."""
    name, pairs = "outside its band", [pair for pair in quantity.pairs if pair.inside is False]
    is_new = bool(pairs) and name not in methods
    methods |= {name} if pairs else set()
    ring = {"symbol": "circle-open", "size": 20, "color": _style.WORSE, "line": {"width": 2}}
    return {
        "x": [pair.predicted for pair in pairs], "y": [pair.measured for pair in pairs], "mode": "markers", "name": name,
        "marker": ring, "hoverinfo": "skip", "legendgroup": name, "showlegend": is_new,
    }  # fmt: skip


def _hover(pair: Pair, quantity: Quantity) -> str:
    estimated, measured = (wording.quantity(value, quantity.unit) for value in (pair.predicted, pair.measured))
    held = {None: "no band was predicted", True: "inside the band", False: "outside the band"}[pair.inside]
    return (
        f"<b>{pair.label}</b><br>{pair.run_id}<br>estimated {estimated}, measured {measured}<br>"
        f"predicted / measured = {pair.ratio:.2f}, {held}"
    )
