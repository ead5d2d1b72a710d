"""What a step changes in the estimated cost of a model, in one line of few words."""

from __future__ import annotations

from workbench.estimate import ZEROS
from workbench.nouns import Cost
from workbench.wording import bytes_text

ADVICE = "To save bytes or time, remove channels, or choose a format that codes zeros."


def cost_words(cost: Cost) -> str:
    """Return `1.73 MB · 2.29 M MACs · 0.02–0.09 ms`."""
    return " · ".join(filter(None, (bytes_text(cost.artifact_bytes), _macs(cost), latency_words(cost))))


def change_words(before: Cost, after: Cost) -> str:
    """Return what a step changes, as in `1.73 MB → 441 kB · 2.29 M → 0.6 M MACs`, or that it changes no cost."""
    pieces = []
    if before.artifact_bytes != after.artifact_bytes:
        pieces.append(f"{bytes_text(before.artifact_bytes)} → {bytes_text(after.artifact_bytes)}")
    if before.macs != after.macs and before.macs is not None:
        pieces.append(f"{count_words(before.macs)} → {_macs(after)}")
    if _band(before) != _band(after) and latency_words(after):
        pieces.append(latency_words(after))
    if pieces:
        return " · ".join(pieces)
    if before.nonzero_params != after.nonzero_params:
        zeros = f"non-zero {count_words(before.nonzero_params)} → {count_words(after.nonzero_params)}"
        return f"{zeros} · bytes on disk unchanged, latency unchanged: dense kernels"
    return f"unchanged: {cost_words(after)}"


def advice_words(costs: list[Cost]) -> str:
    """Return what would help next, where the zeros of a recipe save nothing; else an empty string."""
    saves = costs and costs[-1].dense_bytes < costs[0].dense_bytes
    return ADVICE if costs and ZEROS in costs[-1].notes and not saves else ""


def latency_words(cost: Cost) -> str:
    """Return the band of a call's latency, `0.02–0.09 ms`; empty where it isn't known."""
    if cost.latency_ms_low is None or cost.latency_ms_high is None:
        return ""
    return f"{cost.latency_ms_low:.2g}–{cost.latency_ms_high:.2g} ms"


def count_words(count: float) -> str:
    """Return `2.29 M` for 2,290,000."""
    for letter, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(count) >= size:
            return f"{count / size:.3g} {letter}" if abs(count) < 999.5 * size else f"{count / size:,.0f} {letter}"
    return f"{count:,.0f}"


def _macs(cost: Cost) -> str:
    return "MACs not known" if cost.macs is None else f"{count_words(cost.macs)} MACs"


def _band(cost: Cost) -> tuple[float | None, float | None]:
    return cost.latency_ms_low, cost.latency_ms_high
