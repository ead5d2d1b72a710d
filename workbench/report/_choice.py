"""What to take and why, in sentences made from the measured figures they speak of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from workbench import table, wording
from workbench.nouns import Measurement, Run
from workbench.report._groups import Group, paired_on_test, quality
from workbench.report._runs_table import chip


def headline(groups: Sequence[Group]) -> str:
    """Return one line per model: what to take and what it costs and brings."""
    return f'<ul class="headline">{"".join(f"<li>{_headline(group)}</li>" for group in groups)}</ul>'


def recommendation(group: Group) -> str:
    """Return the card of one model: the run to take, its figures, why, and why not each other one."""
    if group.choice is None:
        return f'<div class="card"><h3>{escape(group.name)}</h3><p>{escape(group.why_no_choice)}</p></div>'
    ids = [run.run_id for run in group.runs]
    why = "".join(f"<li>{_linked(sentence, ids)}</li>" for sentence in group.choice.why)
    against = "".join(
        f"<tr><td>{_linked(run_id, ids)}<small>{escape(_name(group, run_id))}</small></td>"
        f"<td>{_linked('; '.join(reasons), ids)}</td></tr>"
        for run_id, reasons in group.choice.why_not.items()
    )
    return (
        f'<div class="card"><h3>{escape(group.name)}</h3><p>{_verdict(group)}<br><span class="soft">{escape(_doubt(group))}</span></p>{_facts(group)}<ul>{why}</ul>'
        f"<details><summary>Why not the other {len(group.choice.why_not)}</summary><table><thead><tr>"
        f'<th scope="col">Run</th><th scope="col">Why not</th></tr></thead><tbody>{against}</tbody></table></details></div>'
    )


def _verdict(group: Group) -> str:
    """Say what is shown to fit the budgets, and what fits only as measured."""
    choice, chosen = group.choice, group.chosen
    if choice is None or chosen is None:
        return chip("bad", "✕ no run fits the budgets")
    name = f"<b>{escape(group.short(chosen))}</b>"
    recommended = choice.recommended
    shown = recommended is not None and recommended.run_id == chosen.run_id
    fits = chip("good", "✓ shown to fit the budgets") if shown else chip("open", "? fits as measured, not shown")
    return f"{name} {fits}{_test_says_otherwise(group, chosen)}"


def _test_says_otherwise(group: Group, chosen: Run) -> str:
    """Return a warning when the test split, which chose nothing, shows a larger drop than the budget allows."""
    limit = group.choice.budgets.max_drop if group.choice else None
    paired = paired_on_test(chosen, group.baseline) if group.baseline else None
    if limit is None or paired is None or -100 * paired.difference <= limit:
        return ""
    return " " + chip("bad", f"! on test it loses {-100 * paired.difference:.2f} points, more than the budget")


def _doubt(group: Group) -> str:
    """Say what is shown when that isn't the chosen run; empty when it is."""
    choice, chosen = group.choice, group.chosen
    if choice is None or chosen is None or (choice.recommended and choice.recommended.run_id == chosen.run_id):
        return ""
    shown = (
        f"Only {group.short(choice.recommended)} is shown to fit" if choice.recommended else "Nothing is shown to fit"
    )
    drop = choice.drops.get(chosen.run_id)
    return f"{shown}: {drop.n if drop else 'the'} validation examples are too few to show the same of others."


def _headline(group: Group) -> str:
    chosen, base = group.chosen, group.baseline
    name = f"<b>{escape(group.name)}</b>"
    if chosen is None:
        return f"{name}: {escape(group.why_no_choice) or 'no run fits the budgets.'}"
    if base is None or chosen.run_id == base.run_id:
        return f"{name}: nothing that was tried is better than {escape(group.short(chosen))} under the budgets."
    told = ", ".join(filter(None, (_smaller(chosen, base), _faster(chosen), _tested(chosen, base))))
    return f"{name}: {_verdict(group)} – {escape(told)}. {escape(_doubt(group))}"


def _smaller(run: Run, base: Run) -> str:
    mine, theirs = run.get("artifact_bytes"), base.get("artifact_bytes")
    if mine is None or theirs is None:
        return ""
    return f"{wording.bytes_text(mine.value)} instead of {wording.bytes_text(theirs.value)} ({theirs.value / mine.value:.1f} × smaller)"


def _faster(run: Run) -> str:
    ratio = run.get("latency_ratio_to_reference") or run.get("latency_ratio_to_parent")
    if ratio is None:
        return ""
    return (
        f"{ratio.value:.2f} {wording.interval_text(ratio)} × the latency of fp32 ONNX ({wording.ratio_verdict(ratio)})"
    )


def _tested(run: Run, base: Run) -> str:
    """Return the test figure and, paired on the same examples, its difference to the baseline."""
    mine, theirs = quality(run, "test"), quality(base, "test")
    if mine is None:
        return ""
    told = f"test {mine.name} {wording.measured_text(mine)}"
    paired = paired_on_test(run, base)
    if paired:
        ends = f"[{100 * paired.lo:+.2f}, {100 * paired.hi:+.2f}]"
        return told + f"; {100 * paired.difference:+.2f} {ends} points against as trained".replace("-", wording.MINUS)
    return told + (f"; as trained {wording.quantity(theirs.value, theirs.unit)}" if theirs else "")


def _facts(group: Group) -> str:
    run, base = group.chosen, group.baseline
    if run is None:
        return ""
    validation, theirs = quality(run, "validation"), quality(base, "validation") if base else None
    drop = group.choice.drops.get(run.run_id) if group.choice else None
    rows = {
        "Run": f"<a href='#run-{escape(run.run_id)}'><code>{escape(run.run_id)}</code></a> ({escape(table.format_text(run))})",
        "Size": escape(_smaller(run, base)) if base else "",
        "Latency": escape(_faster(run)),
        "Validation": escape(_against(validation, theirs)),
        "Drop": f"at most {drop.bound:.2f} {drop.unit} with 95% confidence (validation, n = {drop.n})"
        if drop and drop.n
        else "",
        "Test": escape(_tested(run, base).removeprefix("test ")) if base else "",
    }
    lines = "".join(f'<tr><th scope="row">{name}</th><td>{text}</td></tr>' for name, text in rows.items() if text)
    return f'<table class="facts">{lines}</table>'


def _against(mine: Measurement | None, theirs: Measurement | None) -> str:
    if mine is None:
        return ""
    before = f"; as trained {wording.quantity(theirs.value, theirs.unit)}" if theirs else ""
    return f"{mine.name} {wording.measured_text(mine)}{before}"


def _linked(text: str, run_ids: Sequence[str]) -> str:
    """Return `text` as HTML in which every run id leads to its line of the table."""
    pattern = "|".join(re.escape(escape(run_id)) for run_id in sorted(run_ids, key=len, reverse=True))
    return (
        re.sub(pattern, lambda found: f'<a href="#run-{found[0]}"><code>{found[0]}</code></a>', escape(text))
        if pattern
        else escape(text)
    )


def _name(group: Group, run_id: str) -> str:
    return next((group.short(run) for run in group.runs if run.run_id == run_id), "")
