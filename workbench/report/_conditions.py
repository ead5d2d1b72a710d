"""Under which conditions the figures hold, and which runs gave none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from workbench import table, wording
from workbench.nouns import Run
from workbench.report._groups import Group
from workbench.report._runs_table import conditions_text, status_chip


def unfinished(groups: Sequence[Group]) -> str:
    """List runs that failed, were cancelled or lost, with the cause and the next move; "" when all are done."""
    lines = "".join(
        f"<tr><td>{status_chip(run)}</td><td>{escape(group.name)}: {escape(group.short(run))}"
        f"<small><code>{escape(run.run_id)}</code></small></td><td>{escape(table.error_text(run) or 'no cause recorded')}</td>"
        f"<td>{escape(str((run.error or {}).get('next') or ''))}</td></tr>"
        for group in groups
        for run in group.runs
        if run.status != "done"
    )
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("Status", "Run", "Cause", "Next move"))
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>'
        if lines
        else ""
    )


def conditions(runs: Sequence[Run]) -> str:
    """State data, machine, versions, seeds and what each figure means."""
    rows = {
        "Data": _each(f"{table.data_text(run)} (sha256 {run.data_sha256[:12] or 'not recorded'})" for run in runs),
        "Machine": _each(_machine(run.machine) for run in runs if run.machine),
        "Versions": _each(", ".join(f"{name} {version}" for name, version in run.versions.items()) for run in runs),
        "Seeds": _each(str(run.job.get("seed")) for run in runs),
        "Latency": conditions_text(runs) + "; fresh processes, warmed up, every sample kept",
        "Choosing": "reads the validation split only; test figures are reported, and nothing was chosen by them",
        "Accuracy": "k / n with the Wilson 95% interval; drops are paired on the same examples",
        "Ratios": _each(found.interval for run in runs if (found := run.get("latency_ratio_to_parent")))
        or "not measured",
        **{
            name: table.COLUMNS[name].help
            for name in ("artifact_bytes", "dense_bytes", "zipped_bytes", "nonzero_params")
        },
    }
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>' for name, text in rows.items()
    )
    return f'<table class="facts">{lines}</table>'


def _machine(machine: Mapping[str, object]) -> str:
    memory = machine.get("memory_bytes")
    size = f", {wording.bytes_text(float(str(memory)))} of memory" if memory else ""
    isa = machine.get("isa")
    sets = f" ({', '.join(map(str, isa))})" if isinstance(isa, list | tuple) else ""
    return f"{machine.get('cpu', 'unknown processor')}, {machine.get('cores', '?')} cores{sets}{size}"


def _each(texts: object) -> str:
    """Join different texts, each once, in order of appearance."""
    return "; ".join(dict.fromkeys(filter(None, texts)))  # type: ignore[call-overload]
