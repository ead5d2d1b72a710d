"""An estimate as a point of the trade-off: what a recipe will cost, before it runs."""

from __future__ import annotations

import math
from typing import NamedTuple

from workbench import wording
from workbench.charts import _style
from workbench.charts._points import Words
from workbench.charts.pareto import Point
from workbench.nouns import Cost, Run


class Predicted(NamedTuple):
    """A predicted value with the ends of its band (None: exact, or no band is known)."""

    value: float
    band: tuple[float, float] | None = None


def predicted(cost: Cost, name: str, size_band: tuple[float, float] | None = None) -> Predicted | None:
    """Return what `cost` says of a measurement; None when nothing is predicted of it.

    The middle of a latency band is geometric: its ends are a best and a worst case that differ by a factor.
    """
    if name == "artifact_bytes":
        return Predicted(cost.artifact_bytes, size_band)
    if name in ("dense_bytes", "nonzero_params"):
        return Predicted(getattr(cost, name))
    if name == "peak_memory_bytes" and cost.memory_bytes is not None:
        return Predicted(cost.memory_bytes)
    low, high = cost.latency_ms_low, cost.latency_ms_high
    if name == "latency_ms_p50" and low is not None and high is not None:
        return Predicted(math.sqrt(low * high), (low, high))
    return None


def estimate_point(
    cost: Cost,
    like: Run,
    *,
    x: str,
    y: str,
    size: str = "",
    split: str = "validation",
    run_id: str = "estimate",
    words: Words | None = None,
    size_band: tuple[float, float] | None = None,
    became: str = "",
) -> Point | None:
    """Place an estimate; a quantity that nothing predicts (accuracy) stands where `like` has it, and says so.

    `like` is its parent, or the run itself once there is one (then `became` is its id). `words` names the recipe; None =
    as `like` is called. `size_band` holds the ends of the bytes (`workbench.estimate.artifact_band`). None when an axis is
    neither predicted nor measured in `like`.
    """
    places = [_place(cost, like, name, split, size_band) for name in (x, y)]
    if places[0] is None or places[1] is None:
        return None
    (at_x, said_x, is_x), (at_y, said_y, is_y) = places[0], places[1]
    third = predicted(cost, size, size_band) if size else None
    return Point(
        run_id, *(words or Words.of(like)), at_x.value, at_y.value, at_x.band, at_y.band, estimated=True,
        details=(said_x, said_y), size=third.value if third else None, became=became,
        parent=None if became else like.run_id,
        unknown=tuple(name for name, is_predicted in (("x", is_x), ("y", is_y)) if not is_predicted),
    )  # fmt: skip


def _place(
    cost: Cost, like: Run, name: str, split: str, size_band: tuple[float, float] | None
) -> tuple[Predicted, str, bool] | None:
    """Return where an estimate stands on an axis, the words for it, and whether anything predicts it."""
    found, measured = predicted(cost, name, size_band), _style.measurement(like, name, split)
    called = name.replace("_", " ")
    if found is not None:
        return found, _said(called, found, measured.unit if measured else _unit(name)), True
    if measured is None:
        return None
    return Predicted(measured.value), f"{called}: not estimated, drawn at that of {like.run_id}", False


def _said(called: str, found: Predicted, unit: str) -> str:
    told = f"{called}: about {wording.quantity(found.value, unit)}"
    if found.band is None:
        return told
    return f"{told}, between {wording.quantity(found.band[0], unit)} and {wording.quantity(found.band[1], unit)}"


def _unit(name: str) -> str:
    return "ms" if name.startswith("latency_ms") else "parameters" if name.endswith("params") else "bytes"
