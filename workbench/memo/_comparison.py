"""Two runs held against each other, in the words of a memo."""

from __future__ import annotations

from collections.abc import Mapping

from workbench import table, wording
from workbench.compare import Choice, Comparison, Difference
from workbench.nouns import Run
from workbench.wording import table_line

HEADS = ("quantity", "a", "b", "b is")


def comparison(compared: Comparison, by_id: Mapping[str, Run], choice: Choice) -> str:
    """Return the differences with their verdicts; test figures only where one of the two was chosen."""
    taken = choice.recommended.run_id if choice.recommended else None
    tested = taken in (compared.a, compared.b)
    rows = [_difference(each) for each in compared.differences if "label" not in each.conditions
            and (tested or each.conditions.get("split") != "test")]  # fmt: skip
    told = [_paired(compared)] if tested else ["Neither is the chosen run, so figures of the test split are left out."]
    named = [
        f"- {side}: `{run_id}`{name_of(by_id.get(run_id))}" for side, run_id in (("a", compared.a), ("b", compared.b))
    ]
    facts = [f"- {fact}" for fact in (*told, _latency(compared))]
    return "\n".join(
        [*named, "", table_line(HEADS), table_line(["---"] * len(HEADS)), *map(table_line, rows), "", *facts]
    )


def name_of(run: Run | None) -> str:
    """Return ` (model, change, format)`; empty for a run that isn't at hand."""
    return f" ({table.model_text(run)}, {table.change_text(run)}, {table.format_text(run)})" if run else ""


def _difference(each: Difference) -> list[str]:
    how = ", ".join(f"{name} {value}" for name, value in each.conditions.items() if value is not None)
    name = each.name.replace("_", " ") + (f" ({how})" if how else "")
    return [name, wording.quantity(each.a, each.unit), wording.quantity(each.b, each.unit), each.verdict]


def _paired(compared: Comparison) -> str:
    """Return what the same test examples say of the two."""
    if found := compared.accuracy:
        ends = f"[{_signed(100 * found.lo)}, {_signed(100 * found.hi)}]"
        return (
            f"Accuracy on the same {found.n:,} test examples: b − a = {_signed(100 * found.difference)} {ends} points, "
            f"{found.only_a} broken, {found.only_b} fixed, McNemar p = {found.p_value:.3g}: {found.verdict}."
        )
    if change := compared.perplexity:
        ends = f"[{_signed(100 * change.lo)}, {_signed(100 * change.hi)}]"
        of_text = f"Perplexity on the same {change.n:,} test sequences, b / a − 1"
        return f"{of_text} = {_signed(100 * change.change)} {ends} %: {change.verdict}."
    return f"Not paired on test: {compared.why_not_paired}."


def _latency(compared: Comparison) -> str:
    ratio = compared.latency.ratio
    if ratio is None:
        return f"Latency: {compared.latency.how}."
    alone = {True: "alone", False: "not alone", None: "alone or not: not known"}[compared.latency.measured_alone]
    return (
        f"Latency b / a = {ratio.ratio:.3f} [{ratio.lo:.3f}, {ratio.hi:.3f}], {ratio.restarts} × {ratio.pairs} pairs, "
        f"{compared.latency.how}, {alone}: {ratio.verdict}."
    )


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", wording.MINUS)
