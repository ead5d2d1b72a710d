"""Run B against run A: every quantity as a ratio or a difference with its interval, and the verdict in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from workbench import wording
from workbench.charts import _forest, _style
from workbench.compare import Comparison, Difference
from workbench.nouns import Measurement

if TYPE_CHECKING:
    import plotly.graph_objects as go

Side = Literal["better", "worse", "neutral"]
SIDES: Mapping[str, Side] = {"better": "better", "faster": "better", "worse": "worse", "slower": "worse"}
# Quantities with a ratio of their own that say something new; the table has the others.
SHOWN = ("accuracy", "perplexity", "artifact_bytes", "dense_bytes", "zipped_bytes", "num_params", "nonzero_params",
         "peak_memory_bytes", "energy_joules", "throughput")  # fmt: skip


@dataclass(frozen=True)
class Effect:
    """One quantity of B against A. Ends are None where a value is exact, or where no interval was measured."""

    name: str
    label: str
    kind: Literal["ratio", "difference"]
    value: float  # B / A, or B − A in points
    lo: float | None
    hi: float | None
    side: Side
    verdict: str
    a: str = ""  # the two values in words; empty where only their ratio was measured
    b: str = ""
    note: str = ""


@dataclass(frozen=True)
class ComparisonData:
    """Effects in the order they are read: quality first, then latency, then the rest."""

    a: str
    b: str
    label_a: str
    label_b: str
    effects: tuple[Effect, ...]
    why_missing: tuple[str, ...] = ()  # what could not be compared, and why


def comparison_data(compared: Comparison, *, label_a: str = "A", label_b: str = "B") -> ComparisonData:
    """Return the effects of a comparison; per-class figures and times of separate runs are left to a table."""
    effects, missing = [], []
    if compared.accuracy or compared.perplexity:
        effects.append(_paired(compared))
    elif compared.why_not_paired:
        missing.append(f"answers: {compared.why_not_paired}")
    if compared.latency.ratio:
        effects.append(_latency(compared))
    else:
        missing.append(": ".join(filter(None, ("latency", compared.latency.how, compared.latency.note))))
    told = {effects[0].name} if effects else set()
    effects += [
        _exact(each) for each in compared.differences if each.ratio and each.ratio > 0 and _is_shown(each, told)
    ]
    return ComparisonData(compared.a, compared.b, label_a, label_b, tuple(effects), tuple(missing))


def comparison_figure(data: ComparisonData) -> go.Figure:
    """Draw a forest plot: differences in points above, ratios below; the line of no change is drawn."""
    from plotly.subplots import make_subplots

    panels = [
        (kind, [effect for effect in data.effects if effect.kind == kind]) for kind in ("difference", "ratio")
    ]  # fmt: skip
    panels = [(kind, effects) for kind, effects in panels if effects]
    if not panels:
        return _style.nothing("; ".join(data.why_missing) or "the two runs share no measurement")
    sizes = [len(effects) + 0.6 for _, effects in panels]
    pixels = 34 * sum(sizes) + 70 * (len(panels) - 1)
    figure = make_subplots(
        rows=len(panels), cols=1, row_heights=sizes, vertical_spacing=70 / pixels if panels[1:] else 0
    )
    layout: dict[str, Any] = {"shapes": [], "annotations": []}
    for index, (kind, effects) in enumerate(panels):
        number = str(index + 1) if index else ""
        figure.add_traces(_forest.traces(effects, data, number, {trace.name for trace in figure.data}))
        _forest.lay_out(layout, number, kind, effects, data)
    return _style.finish(figure, alt=_in_words(data), height=round(pixels) + 160, margin={"t": 30, "l": 60}, **layout)


def _paired(compared: Comparison) -> Effect:
    """Return the paired test: points of accuracy, or the ratio of perplexities."""
    accuracy, perplexity = compared.accuracy, compared.perplexity
    if accuracy:
        verdict = accuracy.verdict.removeprefix("b is ")
        note = f"{accuracy.only_a} broken, {accuracy.only_b} fixed of {accuracy.n:,} examples; {accuracy.interval}"
        return Effect("accuracy", "accuracy, test", "difference", 100 * accuracy.difference, 100 * accuracy.lo,
                      100 * accuracy.hi, _side(verdict), verdict, note=note)  # fmt: skip
    assert perplexity
    verdict = perplexity.verdict.removeprefix("b is ")
    note = f"{perplexity.n:,} sequences; {perplexity.interval}"
    return Effect("perplexity", "perplexity, test", "ratio", 1 + perplexity.change, 1 + perplexity.lo, 1 + perplexity.hi,
                  _side(verdict), verdict, note=note)  # fmt: skip


def _latency(compared: Comparison) -> Effect:
    latency, ratio = compared.latency, compared.latency.ratio
    assert ratio
    alone = {True: "alone", False: "not alone", None: ""}[latency.measured_alone]
    count = f"{ratio.restarts} × {ratio.pairs} pairs"
    note = "; ".join(filter(None, (latency.how, count, alone, latency.note, ratio.interval)))
    return Effect(
        "latency", "latency", "ratio", ratio.ratio, ratio.lo, ratio.hi, _side(ratio.verdict), ratio.verdict, note=note
    )  # fmt: skip


def _exact(each: Difference) -> Effect:
    """Return a quantity by its ratio; its two intervals, where there are, stand behind the verdict only."""
    named = _style.axis(Measurement(each.name, each.unit, "lower", each.b))
    assert each.ratio is not None
    exact = each.verdict in ("equal", "better", "worse", "different") and each.unit in ("bytes", "parameters")
    note = (
        "exact"
        if exact and "memory" not in each.name
        else "not paired: the verdict holds one interval against the other"
    )
    a, b = (wording.quantity(value, each.unit) for value in (each.a, each.b))
    return Effect(each.name, named.label.rpartition(" (")[0], "ratio", each.ratio, None, None, _side(each.verdict),
                  each.verdict, a, b, note)  # fmt: skip


def _is_shown(each: Difference, told: set[str]) -> bool:
    """Say whether a quantity of the whole model, on test, is drawn; `told` are those with a paired test."""
    whole = "label" not in each.conditions and each.conditions.get("split") in (None, "test")
    return whole and each.name in SHOWN and each.name not in told


def _side(verdict: str) -> Side:
    return SIDES.get(verdict, "neutral")


def _in_words(data: ComparisonData) -> str:
    told = "; ".join(f"{effect.label} {_forest.amount(effect)}, {effect.verdict}" for effect in data.effects)
    missing = f" Not compared: {'; '.join(data.why_missing)}." if data.why_missing else ""
    return f"{data.label_b} (B) against {data.label_a} (A): {told}.{missing}"
