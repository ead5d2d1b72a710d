"""The table of a comparison: each quantity of both runs with its interval, the change, and a verdict in words."""

from __future__ import annotations

import html

from widgets import _words
from workbench import wording
from workbench.compare import Comparison, Difference
from workbench.nouns import Measurement, Run

HEADS = ("quantity", "A", "B", "change", "verdict")
FIRST = (
    "artifact_bytes",
    "nonzero_params",
    "accuracy",
    "perplexity",
    "bits_per_byte",
    "peak_memory_bytes",
    "energy_joules",
)
VERDICTS = {
    "better": ("better", "▲ B is better"), "worse": ("worse", "▼ B is worse"), "equal": ("same", "＝ the same"),
    "different": ("same", "≠ different, neither is better"), "cannot be told apart": ("same", "≈ cannot be told apart"),
    "no interval": ("open", "? no interval: not judged"), "see latency": ("open", "timed apart: see the ratio"),
    "faster": ("better", "▲ B is faster"), "slower": ("worse", "▼ B is slower"),
}  # fmt: skip


def differences_html(compared: Comparison, a: Run, b: Run) -> str:
    """Return the table, what people compare first on top and the rest folded away."""
    whole = [each for each in compared.differences if "label" not in each.conditions]
    first = sorted((each for each in whole if each.name in FIRST), key=lambda each: FIRST.index(each.name))
    times = [each for each in whole if each.verdict == "see latency"]
    rest = [each for each in whole if each not in first and each not in times]
    rows = [_row(each, compared, a, b) for each in (*first, *times)] + [latency_row(compared)]
    more = _words.table("Everything else that both measured", HEADS, [_row(each, compared, a, b) for each in rest])
    folded = f"<details><summary>{len(rest)} more quantities</summary>{more}</details>" if rest else ""
    return _words.table("B against A; brackets are 95 % intervals", HEADS, rows) + folded + _why_not_paired(compared)


def _row(each: Difference, compared: Comparison, a: Run, b: Run) -> list[str]:
    how = ", ".join(
        f"{name} {value}" for name, value in each.conditions.items() if value is not None and name != "split"
    )
    split = str(each.conditions.get("split", ""))
    name = html.escape(" ".join(filter(None, (each.name.replace("_", " "), split, f"({how})" if how else ""))))
    values = [_value(_measurement(run, each), value, each.unit) for run, value in ((a, each.a), (b, each.b))]
    change = _paired(each, compared) or _change(each)
    return [name, *map(html.escape, values), html.escape(change), _verdict(each.verdict)]


def latency_row(compared: Comparison) -> list[str]:
    """Return the ratio of the two latencies, or that they were never timed together."""
    found = compared.latency.ratio
    if found is None:
        why = f"<br><small>{html.escape(compared.latency.note)}</small>" if compared.latency.note else ""
        return ["latency B / A", "", "", "", _chip("open", "? never timed together") + why]
    alone = {True: "alone", False: "not alone", None: "alone or not: not known"}[compared.latency.measured_alone]
    change = f"× {found.ratio:.3f} [{found.lo:.3f}, {found.hi:.3f}], {found.restarts} × {found.pairs} pairs"
    how = html.escape(f"{compared.latency.how}, {alone}")
    return ["latency B / A", "", "", f"{html.escape(change)}<br><small>{how}</small>", _verdict(found.verdict)]


def headline(compared: Comparison) -> str:
    """Return the verdicts that matter most in one sentence."""
    sizes = [each for each in compared.differences if each.name == "artifact_bytes" and each.ratio]
    told = [f"B takes {_times(each.ratio)} the bytes of A" for each in sizes if each.ratio is not None]
    if paired := compared.accuracy:
        told.append(f"on the same {paired.n:,} test examples {_sentence(paired.verdict)}")
    elif change := compared.perplexity:
        told.append(f"on the same {change.n:,} test sequences {_sentence(change.verdict)}")
    ratio = compared.latency.ratio
    told.append(f"by time {_sentence(ratio.verdict)}" if ratio else "they were never timed together")
    words = "; ".join(told)
    return f"{words[0].upper()}{words[1:]}."


def _sentence(verdict: str) -> str:
    if verdict == "cannot be told apart":
        return "the two cannot be told apart"
    return f"B is {verdict.removeprefix('b is ')}"


def _times(ratio: float | None) -> str:
    return "exactly" if ratio == 1 else f"{ratio:.2f} ×"


def _measurement(run: Run, each: Difference) -> Measurement | None:
    """Return what a difference speaks of in one run; conditions that are None were absent."""
    wanted = {name: value for name, value in each.conditions.items() if value is not None}
    named = (found for found in run.measurements if found.name == each.name and "label" not in found.conditions)
    return next(
        (found for found in named if all(found.conditions.get(key) == value for key, value in wanted.items())), None
    )


def _value(measured: Measurement | None, value: float, unit: str) -> str:
    if measured is None:
        return wording.quantity(value, unit)
    if measured.k is not None and measured.n:
        return f"{wording.quantity(value, unit)} {wording.interval_text(measured)} {measured.k:,}/{measured.n:,}"
    return wording.measured_text(measured)


def _paired(each: Difference, compared: Comparison) -> str:
    """Return the change on the same test examples; empty where the two aren't paired in this quantity."""
    if each.conditions.get("split") != "test":
        return ""
    if each.name == "accuracy" and (found := compared.accuracy):
        ends = f"[{_signed(100 * found.lo)}, {_signed(100 * found.hi)}]"
        return f"{_signed(100 * found.difference)} points {ends}, {found.only_a} broken, {found.only_b} fixed"
    if each.name == "perplexity" and (change := compared.perplexity):
        return f"{_signed(100 * change.change)} % [{_signed(100 * change.lo)}, {_signed(100 * change.hi)}]"
    return ""


def _change(each: Difference) -> str:
    if each.verdict == "see latency":  # times of two separate runs: their ratio is mostly noise
        return ""
    if each.unit == "share":
        return f"{_signed(100 * each.change)} points"
    return f"× {each.ratio:.3f}" if each.ratio is not None else f"{_signed(each.change)} {each.unit}"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", wording.MINUS)


def _verdict(verdict: str) -> str:
    return _chip(*VERDICTS.get(verdict, ("open", verdict)))


def _chip(kind: str, text: str) -> str:
    return f'<span class="wb-verdict wb-{kind}">{html.escape(text)}</span>'


def _why_not_paired(compared: Comparison) -> str:
    return _words.note(f"Not paired example by example: {compared.why_not_paired}." if compared.why_not_paired else "")
