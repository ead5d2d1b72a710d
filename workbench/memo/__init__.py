"""A decision memo in markdown: what was asked, what to take and why, why not the others, and how each figure is known.

Choosing reads the validation split; figures of the test split are given for the run that was chosen, and for no other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from workbench import table, wording
from workbench.compare import Budgets, Choice, Comparison
from workbench.errors import InvalidInput
from workbench.memo._comparison import comparison, name_of
from workbench.nouns import Measurement, Run
from workbench.wording import table_line

HEADS = ("run", "model", "recipe", "format", "size", "validation", "test", "p50", "against parent")
TESTED_FOR_NOBODY_ELSE = "–"


class Figure(NamedTuple):
    """A picture beside the memo and the runs it was drawn from."""

    path: Path
    run_ids: tuple[str, ...]


def decision_memo(
    runs: Sequence[Run],
    choice: Choice,
    *,
    budgets: Budgets,
    compared: Comparison | None = None,  # None: no two runs were held against each other
    title: str = "Which compressed model to take",
    figures: Mapping[str, Path | Figure] | None = None,  # by caption; a bare path was drawn from all the runs
) -> str:
    """Return the memo of a choice among `runs`; raises InvalidInput when there are none or the choice is of others."""
    by_id = {run.run_id: run for run in runs}
    _check(by_id, choice)
    sections = [
        ("Question", _question(runs, budgets)),
        ("Recommendation", _recommendation(choice)),
        ("Alternatives, and why not", _alternatives(choice, by_id)),
        ("What was measured", _measured(runs, choice)),
        ("Comparison", comparison(compared, by_id, choice) if compared else ""),
        ("Figures", _figures(figures or {}, list(by_id))),
        ("Machine and versions", _machines(runs)),
        ("Limits", _limits(runs, choice)),
    ]
    return "\n\n".join([f"# {title}", *(f"## {head}\n\n{text}" for head, text in sections if text)]) + "\n"


def _check(by_id: Mapping[str, Run], choice: Choice) -> None:
    if not by_id:
        raise InvalidInput(["there are no runs to decide among"], next_move="carry out a job first")
    named = {*choice.why_not, *([choice.recommended.run_id] if choice.recommended else [])}
    if unknown := sorted(named - by_id.keys()):
        raise InvalidInput([f"the choice names {run_id}, which is not among the runs" for run_id in unknown])


def _question(runs: Sequence[Run], budgets: Budgets) -> str:
    models, data = _each(table.model_text(run) for run in runs), _each(table.data_text(run) for run in runs)
    limits = (
        ("drop of accuracy ≤ {:g} points against the parent (language models: per cent of perplexity)", budgets.max_drop),
        ("files needed to predict ≤ {:,.0f} bytes", budgets.max_bytes),
        ("median latency of one call ≤ {:g} ms", budgets.max_latency_ms),
        ("peak memory ≤ {:,.0f} bytes", budgets.max_memory_bytes),
        ("accuracy on validation ≥ {:.1%}", budgets.min_accuracy),
    )  # fmt: skip
    lines = [f"- {form.format(limit)}" for form, limit in limits if limit is not None]
    asked = f"Which of {len(runs)} runs of {models} on {data} to take, under these budgets:"
    return "\n".join([asked, "", *(lines or ["- none: the most accurate on validation is taken"])])


def _recommendation(choice: Choice) -> str:
    taken = choice.recommended
    head = (
        f"**Take `{taken.run_id}`**: {table.model_text(taken)}, {table.change_text(taken)}, {table.format_text(taken)}."
        if taken
        else "**No run is shown to fit the budgets.**"
    )
    return "\n".join([head, "", *(f"- {sentence}" for sentence in choice.why)])


def _alternatives(choice: Choice, by_id: Mapping[str, Run]) -> str:
    lines = [
        f"- `{run_id}`{name_of(by_id[run_id])}: {'; '.join(reasons)}" for run_id, reasons in choice.why_not.items()
    ]
    return "\n".join(lines) or "There was no other run."


def _measured(runs: Sequence[Run], choice: Choice) -> str:
    taken = choice.recommended.run_id if choice.recommended else ""
    rows = [_row(run, tested=run.run_id == taken) for run in runs if run.status == "done"]
    notes = [
        "Size: files needed to predict. Validation chose; the test split is given for the chosen run alone.",
        "Brackets: 95 % intervals (accuracy: Wilson). `against parent`: latency of the run / latency of the same model as "
        "trained in the same format, timed alternately; below 1 is faster.",
        *_how_timed(runs),
    ]
    return "\n".join(
        [
            table_line(HEADS),
            table_line(["---"] * len(HEADS)),
            *map(table_line, rows),
            "",
            *(f"- {note}" for note in notes),
        ]
    )


def _row(run: Run, *, tested: bool) -> list[str]:
    size, p50, ratio = run.get("artifact_bytes"), run.get("latency_ms_p50"), run.get("latency_ratio_to_parent")
    return [
        f"`{run.run_id}`", table.model_text(run), table.change_text(run), table.format_text(run),
        wording.bytes_text(size.value) if size else "not measured", _quality(run, "validation"),
        _quality(run, "test") if tested else TESTED_FOR_NOBODY_ELSE,
        wording.measured_text(p50) if p50 else "not measured",
        f"{wording.measured_text(ratio)}: {wording.ratio_verdict(ratio)}" if ratio else "not measured",
    ]  # fmt: skip


def _quality(run: Run, split: str) -> str:
    """Return the accuracy with k/n and its interval, or the perplexity, on a split."""
    accuracy, perplexity = (_whole(run, name, split) for name in ("accuracy", "perplexity"))
    if accuracy:
        counted = f" ({accuracy.k:,}/{accuracy.n:,})" if accuracy.k is not None and accuracy.n else ""
        return f"{wording.quantity(accuracy.value, 'share')}{counted} {wording.interval_text(accuracy)}".strip()
    return f"perplexity {wording.measured_text(perplexity)}" if perplexity else "not measured"


def _whole(run: Run, name: str, split: str) -> Measurement | None:
    """Return a measurement over all classes."""
    named = (each for each in run.measurements if each.name == name and each.conditions.get("split") == split)
    return next((each for each in named if "label" not in each.conditions), None)


def _how_timed(runs: Sequence[Run]) -> list[str]:
    """Return one line per way in which latencies were taken, with the runs that were timed so."""
    found: dict[str, list[str]] = {}
    for run in runs:
        if p50 := run.get("latency_ms_p50"):
            found.setdefault(wording.timing_text(p50), []).append(run.run_id)
    return [f"Latency ({how}): {', '.join(f'`{run_id}`' for run_id in ids)}" for how, ids in found.items()]


def _figures(figures: Mapping[str, Path | Figure], run_ids: Sequence[str]) -> str:
    told = []
    for caption, each in figures.items():
        path, ids = each if isinstance(each, Figure) else (each, tuple(run_ids))
        shown = ", ".join(f"`{run_id}`" for run_id in ids)
        told.append(f"![{caption}](<{os.fspath(path)}>)\n\n{caption}. Drawn from: {shown}")
    return "\n\n".join(told)


def _machines(runs: Sequence[Run]) -> str:
    machines = _each(_machine(run) for run in runs if run.machine)
    versions = _each(", ".join(f"{name} {version}" for name, version in run.versions.items()) for run in runs)
    data = _each(f"{table.data_text(run)}, sha256 {run.data_sha256[:12] or 'not recorded'}" for run in runs)
    seeds = _each(str(run.job.get("seed", "?")) for run in runs)
    return "\n".join([f"- Machine: {machines or 'not recorded'}", f"- Versions: {versions or 'not recorded'}",
                      f"- Data: {data}", f"- Seeds: {seeds}"])  # fmt: skip


def _machine(run: Run) -> str:
    memory = run.machine.get("memory_bytes")
    size = f", {wording.bytes_text(float(memory))} of memory" if memory else ""
    return f"{run.machine.get('cpu', 'unknown processor')}, {run.machine.get('cores', '?')} cores{size}"


def _limits(runs: Sequence[Run], choice: Choice) -> str:
    counts = {split: _each(f"{found.n:,}" for run in runs if (found := _any_quality(run, split)) and found.n)
              for split in ("validation", "test")}  # fmt: skip
    told = [
        f"Chosen on validation (n = {counts['validation'] or 'unknown'}); tested once (n = {counts['test'] or 'unknown'})."
    ]
    if len({str(run.job.get("seed")) for run in runs}) == 1:
        told.append("One seed: how much the figures move with another training is not known.")
    if any((p50 := run.get("latency_ms_p50")) and p50.conditions.get("measured_alone") is not True for run in runs):
        told.append("Some latencies were taken while something else ran; they were left out of the choice.")
    if not any(run.get("latency_ms_p50") for run in runs):
        told.append("Latency was not measured: speed played no part in the choice.")
    else:
        told.append("Latencies hold for the machine, threads and batch named above, and for no other.")
    if choice.unproven:
        told.append(
            f"`{choice.unproven.run_id}` fits as measured, but too few examples show it: more validation data may."
        )
    ended_otherwise = [f"`{run.run_id}` {run.status}" for run in runs if run.status != "done"]
    told += [f"Not measured: {', '.join(ended_otherwise)}."] if ended_otherwise else []
    return "\n".join(f"- {sentence}" for sentence in told)


def _any_quality(run: Run, split: str) -> Measurement | None:
    return _whole(run, "accuracy", split) or _whole(run, "perplexity", split)


def _each(texts: Iterable[str]) -> str:
    """Join different texts, each once, in order of appearance."""
    return "; ".join(dict.fromkeys(filter(None, texts)))
