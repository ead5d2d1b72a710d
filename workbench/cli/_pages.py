"""What each command prints: a page for people, and the record of `--json` where it isn't one of the nouns'."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import catalog
from workbench.cli._text import console, or_dash, say_rows, span, with_interval
from workbench.errors import InvalidInput
from workbench.job import Job
from workbench.nouns import Cost, Measurement, ModelCard, Run
from workbench.params import ParamSpec, describe
from workbench.part import FAMILIES

if TYPE_CHECKING:
    from workbench.compare import Choice, Comparison, Difference, LatencyComparison
    from workbench.marks import Marks

TOLD = (
    "split",
    "label",
    "layer",
    "step",
    "parameter",
    "level",
    "threads",
    "batch",
    "measured_alone",
)  # conditions that a short page shows


def parts_record(family: str | None) -> dict[str, list[dict[str, Any]]]:
    """Return what can be picked, by family; raises InvalidInput for an unknown family."""
    wanted = [family] if family else list(FAMILIES)
    catalog.names(wanted[0])  # says what is wrong with the name
    return {
        name: [
            {
                "name": part.name(), "title": part.title, "help": (part.__doc__ or "").strip(), "source": part.source,
                "missing": part.missing(), "parameters": [_parameter(spec) for spec in describe(part)],
            }
            for part in catalog.parts(name)
        ]
        for name in wanted
    }  # fmt: skip


def _parameter(spec: ParamSpec) -> dict[str, Any]:
    return {**asdict(spec), "choices": list(spec.choices), "bounds": spec.bounds}


def estimate_record(job: Job, cards: Sequence[ModelCard], costs: Sequence[Cost]) -> dict[str, Any]:
    rows = [
        {"after": after, "precision": card.precision, **asdict(cost)}
        for after, card, cost in zip(_stages(job), cards, costs)
    ]
    return {"job_id": job.job_id, "format": job.format.name(), "steps": rows}


def study_rows(runs: Sequence[Run], labels: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "run_id": run.run_id or None, "job_id": run.job_id, "model": labels[run.job_id].model,
            "recipe": labels[run.job_id].recipe, "format": run.job["format"]["use"], "status": run.status,
            "error": (run.error or {}).get("message"),
        }
        for run in runs
    ]  # fmt: skip


def _stages(job: Job) -> list[str]:
    return ["as built", *(step.describe() for step in job.steps)]


def say_parts(families: Mapping[str, Sequence[Mapping[str, Any]]], *, in_full: bool) -> None:
    for family, found in families.items():
        rows = []
        for part in found:
            rows.append((part["name"], part["title"], "; ".join(part["missing"])))
            if in_full:
                rows += [(f"  {each['name']}", _default(each), _meaning(each)) for each in part["parameters"]]
        say_rows((family, "", ""), rows)
        console().print()
    if not in_full:
        console().print("workbench parts FAMILY shows the parameters")


def _default(parameter: Mapping[str, Any]) -> str:
    return "required" if parameter["required"] else f"= {parameter['default']}"


def _meaning(parameter: Mapping[str, Any]) -> str:
    legal = parameter["bounds"] or " | ".join(str(choice) for choice in parameter["choices"])
    unit = f" [{parameter['unit']}]" if parameter["unit"] else ""
    return parameter["help"] + unit + (f" ({legal})" if legal else "")


def preview_text(job: Job, store: Path) -> str:
    """Return what the job's launcher would submit; raises InvalidInput where the job can't run, or nothing is submitted."""
    from workbench.describe import model_card

    here = job.launcher.why_not()
    if reasons := [reason for reason in job.why_not(model_card(job)) if reason not in here]:
        raise InvalidInput(reasons)
    text = job.launcher.preview((store / f".draft-{job.job_id}-01").absolute(), store.absolute())
    if not text:
        raise InvalidInput([f"launcher {job.launcher.name()} starts processes here: there is nothing to submit"])
    return text


def say_estimate(job: Job, cards: Sequence[ModelCard], costs: Sequence[Cost]) -> None:
    head = ("after", "weights", "artifact bytes", "parameter bytes", "non-zero", "MACs", "latency ms", "memory MB")
    rows = [
        (after, card.precision, f"{cost.artifact_bytes:,}", f"{cost.dense_bytes:,}", f"{cost.nonzero_params:,}",
         or_dash(cost.macs, ","), span(cost.latency_ms_low, cost.latency_ms_high, ".3f"),
         or_dash(cost.memory_bytes and cost.memory_bytes / 1e6, ".0f"))
        for after, card, cost in zip(_stages(job), cards, costs)
    ]  # fmt: skip
    say_rows(head, rows, title=f"{job.model.name()} as {job.format.name()}, one example, one thread", numbers=head[2:])
    for note in dict.fromkeys(note for cost in costs[-1:] for note in cost.notes):
        console().print(f"· {note}", markup=False)


def say_table(rows: Sequence[Mapping[str, Any]], store: Path) -> None:
    if not rows:
        console().print(f"no runs in {store}: workbench run makes one", markup=False)
        return
    head = ("run", "model", "recipe", "format", "status", "bytes", "accuracy", "p50 ms", "÷ parent", "÷ reference")
    body = [
        (row["run_id"], row["model"], row["recipe"], row["format"] or "", row["status"], or_dash(row["artifact_bytes"], ","),
         with_interval(row["accuracy"], row["accuracy_lo"], row["accuracy_hi"], ".3f"), or_dash(row["latency_ms_p50"], ".3f"),
         with_interval(row["latency_ratio_to_parent"], row["ratio_lo"], row["ratio_hi"], ".2f"),
         or_dash(row["latency_ratio_to_reference"], ".2f"))
        for row in rows
    ]  # fmt: skip
    say_rows(head, body, numbers=head[5:])
    for row in rows:
        if row["error"]:
            console().print(f"· {row['run_id']} {row['status']}: {row['error']}", markup=False)
        if said := marks_text(row["tags"], row["note"], row["pinned"]):
            console().print(f"· {row['run_id']} {said}", markup=False)


def marks_text(tags: str | None, note: str | None, pinned: bool | None) -> str:
    """Return what somebody said of a run in one line; empty for nothing."""
    said = ", ".join(filter(None, ["pinned" if pinned else "", f"tagged {tags}" if tags else ""]))
    return ": ".join(filter(None, [said, " ".join((note or "").split())]))


def say_marks(marks: Marks) -> None:
    """Print what lies beside a record, if anything does."""
    if said := marks_text(", ".join(marks.tags), marks.note, marks.pinned):
        console().print(said, markup=False)
    if marks.imported_from:
        console().print(f"imported from {marks.imported_from}", markup=False)


def say_run(run: Run, *, in_full: bool = False) -> None:
    """Print a run for people: what it was, what was measured, where it lies, or what went wrong."""
    job = Job.from_json(run.job) if run.status == "done" else None
    say = console().print
    say(f"{run.run_id}: {run.status}", style="bold", markup=False)
    if job:
        say(f"{job.model.name()} on {job.data.name()}: {job.recipe()}, {job.format.name()}", markup=False)
    if in_full:
        say(_facts(run), markup=False)
    shown = [each for each in run.measurements if in_full or "label" not in each.conditions]
    if shown:
        head = ("measured", "value", "95 % interval", "unit", "n", "conditions")
        say_rows(head, [_measured(each, in_full) for each in shown], numbers=head[1:3])
    if run.error:
        say(f"error: {run.error.get('message')}", markup=False)
        say(f"→ {run.error.get('next')}", markup=False)
        if in_full and run.error.get("traceback"):
            say(run.error["traceback"], markup=False)
    if run.folder:
        say(f"in {Path(run.folder, run.artifact) if run.artifact else run.folder}", markup=False, soft_wrap=True)


def _facts(run: Run) -> str:
    """Return job, relatives, machine and timings as lines."""
    steps = [_as_text(step) for step in run.job.get("steps") or ()]
    cpu = [f"{name} {seconds:.2f}" for name, seconds in run.cpu_seconds.items()]
    lines = {
        "model": _as_text(run.job.get("model")), "data": _as_text(run.job.get("data")),
        **{f"steps[{index}]": step for index, step in enumerate(steps)},
        "parent": run.parent, "reference": run.reference, "kept from before": ", ".join(run.cached),
        "machine": ", ".join(f"{key} {value}" for key, value in run.machine.items()),
        "versions": ", ".join(f"{key} {value}" for key, value in run.versions.items()),
        "started": run.started, "ended": run.ended, "CPU seconds": ", ".join(cpu),
        "controls": json.dumps(dict(run.controls)) if run.controls else "", "log": run.log,
    }  # fmt: skip
    return "\n".join(f"{name:>17}  {value}" for name, value in lines.items() if value)


def _as_text(record: Any) -> str:
    if not isinstance(record, Mapping):
        return str(record)
    return " ".join([str(record.get("use")), *(f"{name}={value}" for name, value in record.items() if name != "use")])


def _measured(each: Measurement, in_full: bool) -> tuple[str, ...]:
    whole = each.unit in ("bytes", "parameters")
    counted = f"{each.k}/{each.n}" if each.k is not None else str(each.n or "")
    value = f"{each.value:,.0f}" if whole else f"{each.value:.4g}"
    return each.name, value, span(each.lo, each.hi, ".4g"), each.unit, counted, _conditions(each, in_full)


def _conditions(each: Measurement | Difference, in_full: bool = False) -> str:
    shown = {name: value for name, value in each.conditions.items() if value not in (None, "")}
    return ", ".join(f"{name} {value}" for name, value in shown.items() if in_full or name in TOLD)


def say_comparison(found: Comparison) -> None:
    """Print what differs, the paired answers and the latency, each with its verdict."""
    say = console().print
    say(f"B {found.b}\nagainst A {found.a}", style="bold", markup=False)
    head = ("measured", "A", "B", "B / A", "B is", "conditions")
    rows = [
        (each.name, f"{each.a:.6g}", f"{each.b:.6g}", or_dash(each.ratio, ".3f"), each.verdict, _conditions(each))
        for each in found.differences
        if "label" not in each.conditions
    ]
    say_rows(head, rows, numbers=head[1:4])
    if pair := found.accuracy:
        say(
            f"accuracy, same {pair.n} test examples: {pair.difference:+.2%} ({pair.lo:+.2%} to {pair.hi:+.2%}); "
            f"A alone right {pair.only_a}, B alone {pair.only_b}, p = {pair.p_value:.3g}: {pair.verdict}", markup=False,
        )  # fmt: skip
    if read := found.perplexity:
        change = f"{read.change:+.2%} ({read.lo:+.2%} to {read.hi:+.2%})"
        say(f"perplexity, same text: {change}: {read.verdict}", markup=False)
    if found.why_not_paired:
        say(f"answers not paired: {found.why_not_paired}", markup=False)
    say(_latency(found.latency), markup=False)
    if not found.latency.ratio:
        say("→ workbench compare A B --measure times them alternately", markup=False)


def _latency(latency: LatencyComparison) -> str:
    ratio, note = latency.ratio, f" ({latency.note})" if latency.note else ""
    if ratio is None:
        return f"latency: {latency.how}{note}"
    return f"latency B / A: {ratio.ratio:.3f} ({ratio.lo:.3f} to {ratio.hi:.3f}), {latency.how}: {ratio.verdict}{note}"


def say_choice(choice: Choice) -> None:
    say = console().print
    say(choice.recommended.run_id if choice.recommended else "no run fits", style="bold", markup=False)
    for sentence in choice.why:
        say(sentence, markup=False)
    if choice.why_not:
        say_rows(("not", "because"), [(run_id, "; ".join(reasons)) for run_id, reasons in choice.why_not.items()])


def say_study(runs: Sequence[Run], labels: Mapping[str, Any], store: Path) -> None:
    head = ("model", "recipe", "format", "status", "run")
    rows = [
        (row["model"], row["recipe"], row["format"], row["status"], row["run_id"] or row["error"])
        for row in study_rows(runs, labels)
    ]
    say_rows(head, rows)
    for run in runs:
        if run.error and run.run_id:
            console().print(f"· {run.run_id} {run.status}: {run.error.get('message')}", markup=False)
    console().print(f"workbench table --store {store} shows what was measured", markup=False, soft_wrap=True)


def say_findings(findings: Sequence[Any], ceilings: Mapping[str, Any]) -> None:
    say_rows(("", "looked at", "found", "fix"), [(each.status, each.name, each.found, each.fix) for each in findings])
    rates = ", ".join(f"{name} {value:g}" for name, value in ceilings.items() if isinstance(value, int | float))
    console().print(f"ceilings of one thread: {rates}", markup=False)
