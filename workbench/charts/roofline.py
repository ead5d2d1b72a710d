"""How near each run comes to what this machine can do: operations per second over operations per byte.

Source: Williams, Waterman & Patterson, CACM 52(4), 2009. The ceilings are those of one thread, measured on this machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench import table, wording
from workbench.charts import _style
from workbench.errors import InvalidInput
from workbench.nouns import Run

if TYPE_CHECKING:
    import plotly.graph_objects as go

PRECISIONS = {"float32": "solid", "bfloat16": "dash", "int8": "dashdot"}  # and how its ceiling is drawn
NO_CEILINGS = "this machine's ceilings aren't measured yet (workbench doctor)"
COUNTED = "bytes moved = files needed to predict, read once per call"


@dataclass(frozen=True)
class Roof:
    """The ceiling of one precision: `min(gflops, intensity × read_gb_per_s)`."""

    precision: str
    gflops: float  # 10⁹ operations per second, a multiply-accumulate is two
    ridge: float  # operations per byte from which arithmetic limits, not memory


@dataclass(frozen=True)
class Spot:
    """One run; `slowest` is what its 95th-percentile call attains (None: not measured)."""

    run_id: str
    label: str
    method: str
    precision: str
    intensity: float  # operations per byte moved
    gflops: float  # attained by the median call
    slowest: float | None
    share: float  # of the ceiling at its intensity
    limited_by: str  # memory | arithmetic
    counted: str  # what the bytes are


@dataclass(frozen=True)
class RooflineData:
    """`reason` says why there is nothing to draw; empty when there is."""

    roofs: tuple[Roof, ...]
    read_gb_per_s: float
    spots: tuple[Spot, ...]
    missing: tuple[tuple[str, str], ...]  # (run id, why)
    machine: str = ""
    reason: str = ""


def roofline_data(
    runs: Sequence[Run],
    *,
    macs: Mapping[str, int],
    ceilings: Mapping[str, Any] | None,
    activations: Mapping[str, int] | None = None,
) -> RooflineData:
    """Place each run at 2·MACs / bytes moved and 2·MACs / median latency.

    `macs` maps run id → multiply-accumulates of one example, `activations` run id → bytes written and read between layers
    for one example (None or absent: not counted, and the hover says so). `ceilings` is what `workbench.ceilings.known`
    returns; without them there is a reason and nothing to draw.
    """
    if ceilings is None:
        return RooflineData((), 0.0, (), (), reason=NO_CEILINGS)
    reading = float(ceilings["read_gb_per_s"])
    roofs = {name: float(ceilings[f"{name}_gflops"]) for name in PRECISIONS if f"{name}_gflops" in ceilings}
    spots, missing = [], []
    for run in runs:
        try:
            spots.append(_spot(run, macs.get(run.run_id), (activations or {}).get(run.run_id), roofs, reading))
        except InvalidInput as error:
            missing.append((run.run_id, error.message))
    used = {spot.precision for spot in spots}
    drawn = tuple(Roof(name, rate, rate / reading) for name, rate in roofs.items() if name in used)
    where = str((ceilings.get("machine") or {}).get("cpu", ""))
    reason = "" if spots else "no run has both operations and a latency on one thread"
    return RooflineData(drawn, reading, tuple(spots), tuple(missing), where, reason)


def roofline_figure(data: RooflineData) -> go.Figure:
    """Draw the ceilings as lines (one dash per precision) and the runs as points; whiskers reach to the slow calls."""
    import plotly.graph_objects as go

    if data.reason:
        return _style.nothing(data.reason)
    xs = [spot.intensity for spot in data.spots]
    low = min(xs) / 3
    high = max([*xs, *(roof.ridge for roof in data.roofs)]) * 4
    figure = go.Figure([{"type": "scatter", **_roof(roof, low, high, data.read_gb_per_s)} for roof in data.roofs])
    groups: dict[tuple[str, str], list[Spot]] = {}
    for spot in data.spots:
        groups.setdefault((spot.method, spot.precision), []).append(spot)
    figure.add_traces([{"type": "scatter", **_spots(groups[key], data)} for key in sorted(groups)])
    log = {"type": "log", "dtick": 1, "tickformat": "~g"}
    return _style.finish(
        figure, alt=_in_words(data), height=340 + 19 * len(figure.data), margin_t=30,
        xaxis={"title": {"text": "operations per byte moved (2 · MACs / bytes)"}, **log},
        yaxis={"title": {"text": "10⁹ operations per second"}, **log},
        annotations=[{"text": f"{data.machine}, one thread; {COUNTED}", "x": 0, "y": 1, "xref": "paper", "yref": "paper",
                      "xanchor": "left", "yanchor": "bottom", "showarrow": False, "font": {"size": 11}}],
    )  # fmt: skip


def _spot(run: Run, macs: int | None, activations: int | None, roofs: Mapping[str, float], reading: float) -> Spot:
    """Raises InvalidInput that says what a run lacks."""
    latency, size = run.get("latency_ms_p50"), run.get("artifact_bytes")
    if latency is None or size is None or not macs:
        lacks = (("operations", macs), ("latency", latency), ("size", size))
        raise InvalidInput([f"no {', '.join(name for name, found in lacks if not found)}"])
    if latency.conditions.get("threads", 1) != 1:
        raise InvalidInput([f"timed on {latency.conditions['threads']} threads; the ceilings are those of one"])
    precision = str(size.conditions.get("weights", "float32"))
    if precision not in roofs:
        raise InvalidInput([f"no ceiling of {precision} was measured"])
    batch = int(latency.conditions.get("batch", 1))
    operations, moved = 2.0 * macs * batch, size.value + batch * (activations or 0)
    intensity, gflops = operations / moved, operations / latency.value * 1e-6
    slow = run.get("latency_ms_p95", threads=latency.conditions.get("threads"), batch=latency.conditions.get("batch"))
    ceiling = min(roofs[precision], intensity * reading)
    counted = f"{wording.bytes_text(moved)} moved: files read once"
    counted += (
        f" and {wording.bytes_text(batch * activations)} of activations" if activations else "; activations not counted"
    )
    return Spot(
        run.run_id, _style.run_label(run), table.method_text(run), precision, intensity, gflops,
        operations / slow.value * 1e-6 if slow else None, gflops / ceiling,
        "memory" if ceiling < roofs[precision] else "arithmetic", f"{counted}; batch {batch}",
    )  # fmt: skip


def _roof(roof: Roof, low: float, high: float, reading: float) -> dict[str, Any]:
    xs = [low, roof.ridge, high]
    return {
        "x": xs, "y": [min(roof.gflops, x * reading) for x in xs], "mode": "lines", "uid": _style.uid("roof", roof.precision),
        "name": f"ceiling {roof.precision}: {roof.gflops:.3g} · 10⁹ / s", "hoverinfo": "skip",
        "line": {"color": _style.INK, "width": 1.5, "dash": PRECISIONS[roof.precision]},
    }  # fmt: skip


def _spots(spots: Sequence[Spot], data: RooflineData) -> dict[str, Any]:
    import numpy as np

    first = spots[0]
    look = _style.marker(first.method)
    attained = np.array([spot.gflops for spot in spots])
    slowest = np.array([spot.gflops if spot.slowest is None else spot.slowest for spot in spots])
    return {
        "x": np.array([spot.intensity for spot in spots]), "y": attained, "mode": "markers",
        "name": f"{first.method} ({first.precision})", "uid": _style.uid(first.method, first.precision),
        "marker": {"symbol": look.shape, "color": look.colour, "size": 11, "line": {"width": 0.8, "color": _style.INK}},
        "error_y": {"type": "data", "symmetric": False, "array": np.zeros(len(spots)), "arrayminus": attained - slowest,
                    "thickness": 1, "width": 3, "color": look.colour},
        "customdata": _style.objects(spot.run_id for spot in spots), "hoverinfo": "text",
        "hovertext": _style.objects(_hover(spot) for spot in spots),
    }  # fmt: skip


def _hover(spot: Spot) -> str:
    slow = "" if spot.slowest is None else f" ({spot.slowest:.3g} at the 95th percentile of latency)"
    return (
        f"<b>{spot.label}</b><br>{spot.run_id}<br>{spot.gflops:.3g} · 10⁹ operations per second{slow}<br>"
        f"{spot.share:.1%} of its {spot.precision} ceiling, which {spot.limited_by} limits here<br>"
        f"{spot.intensity:.3g} operations per byte<br>{spot.counted}"
    )


def _in_words(data: RooflineData) -> str:
    roofs = "; ".join(f"{roof.precision} {roof.gflops:.3g} · 10⁹ operations per second" for roof in data.roofs)
    spots = "; ".join(
        f"{spot.label} {spot.gflops:.3g} at {spot.intensity:.3g} operations per byte, {spot.share:.1%} of its ceiling"
        for spot in sorted(data.spots, key=lambda spot: -spot.share)[:10]
    )
    return f"Roofline of one thread: memory {data.read_gb_per_s:.3g} GB/s, {roofs}. Nearest to it first: {spots}."
