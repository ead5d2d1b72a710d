"""How the latency of single calls is spread: the share of calls that took at most so long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench import table
from workbench.charts import _style
from workbench.compare import _samples
from workbench.errors import ArtifactError
from workbench.nouns import Run

if TYPE_CHECKING:
    import numpy as np
    import plotly.graph_objects as go

MOST_POINTS = 2000  # per curve: more can't be seen


@dataclass(frozen=True)
class Curve:
    """`ms` ascending, `share` of all calls that took at most that long."""

    run_id: str
    label: str
    method: str
    ms: np.ndarray
    share: np.ndarray
    num_calls: int
    conditions: str


@dataclass(frozen=True)
class EcdfData:
    """One curve per run that kept its single calls; `missing` names the others."""

    curves: tuple[Curve, ...]
    missing: tuple[str, ...]


def ecdf_data(runs: Sequence[Run]) -> EcdfData:
    """Read the single calls of every run; percentiles of different runs were not timed in the same minute."""
    curves, missing = [], []
    for run in runs:
        try:
            single_ms = _samples.arrays(run, "latency.npz").get("single_ms")
        except ArtifactError:
            single_ms = None
        if single_ms is None or not single_ms.size:
            missing.append(run.run_id)
        else:
            curves.append(_curve(run, single_ms.ravel()))
    return EcdfData(tuple(curves), tuple(missing))


def ecdf_figure(data: EcdfData) -> go.Figure:
    """Draw one step curve per run on a log scale of milliseconds."""
    import plotly.graph_objects as go

    figure = go.Figure()
    dashes = ("solid", "dash", "dot", "dashdot", "longdash")
    for index, curve in enumerate(data.curves):
        look = _style.marker(curve.method)
        line = {"shape": "hv", "color": look.colour, "dash": dashes[index % len(dashes)]}
        figure.add_trace(
            go.Scatter(
                x=curve.ms, y=curve.share, mode="lines", line=line, name=curve.label,
                hovertemplate=f"{curve.label}<br>{curve.run_id}<br>%{{y:.0%}} of {curve.num_calls:,} calls took at most "
                f"%{{x:.3g}} ms<br>{curve.conditions}<extra></extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(title_text="latency of one call (ms)", type="log")
    figure.update_yaxes(title_text="share of calls (%)", tickformat=".0%", range=[0, 1.02])
    words = "; ".join(
        f"{curve.label}: median {_at(curve, 0.5):.3g} ms, 95 % {_at(curve, 0.95):.3g} ms" for curve in data.curves
    )
    return _style.finish(figure, alt=f"Latency of single calls. {words}.")


def _curve(run: Run, single_ms: np.ndarray) -> Curve:
    import numpy as np

    ordered = np.sort(single_ms)
    share = np.arange(1, ordered.size + 1) / ordered.size
    kept = np.unique(np.linspace(0, ordered.size - 1, MOST_POINTS).round().astype(int))
    measured = run.get("latency_ms_p50")
    how = dict(measured.conditions) if measured else {}
    conditions = ", ".join(f"{name} {how[name]}" for name in ("threads", "batch") if name in how)
    return Curve(
        run.run_id, _style.run_label(run), table.method_text(run),
        ordered[kept], share[kept], ordered.size, conditions,
    )  # fmt: skip


def _at(curve: Curve, share: float) -> float:
    import numpy as np

    return float(curve.ms[np.searchsorted(curve.share, share)])
