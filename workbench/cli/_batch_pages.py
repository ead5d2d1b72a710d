"""How the batch commands print plans, states and results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from workbench.cli._text import or_dash, say_rows

if TYPE_CHECKING:
    from workbench.batch._plan import Plan
    from workbench.batch._record import Record
    from workbench.batch.carry_out import Done
    from workbench.batch.estimate import Estimate
    from workbench.batch.views import Batch
    from workbench.params import ParamSpec

FIRST = 5
MOST_FAILURES = 10


def spec_record(spec: ParamSpec) -> dict[str, Any]:
    names = ("name", "kind", "default", "choices", "ge", "le", "optional", "help")
    return {name: getattr(spec, name) for name in names}


def say_specs(notebook: Path, specs: Sequence[ParamSpec], warnings: Sequence[str]) -> None:
    """Print what a notebook declares, and what of it deceives."""
    if not specs:
        typer.echo(f"{notebook} declares no parameter: no cell is tagged `parameters`")
    else:
        rows = [(spec.name, spec.kind or "any", repr(spec.default), _legal(spec), spec.help) for spec in specs]
        say_rows(("name", "type", "default", "legal", "what"), rows)
    _warn(warnings)


def say_plan(plan: Plan, found: Estimate) -> None:
    """Print how much there is to do, what it takes, and the first rows."""
    from workbench.batch.index import duration_text
    from workbench.wording import bytes_text

    wanted = found.found.wanted
    typer.echo(f"{plan.notebook}: {len(plan.rows)} rows, {len(wanted)} to do, {len(found.found.done)} done")
    if found.seconds is not None and found.bytes_per_row is not None:
        took = f"about {duration_text(found.seconds)} with {found.jobs} side by side"
        typer.echo(f"{took}, {bytes_text(found.bytes_per_row * len(wanted))} on disk, judged by the rows that ran")
    else:
        typer.echo("time and disk: not known before some of its rows have run (--out DIR looks there)")
    say_rows(("row", "why"), [(each.row.row_id, each.why) for each in wanted[:FIRST]])
    if len(wanted) > FIRST:
        typer.echo(f"… and {len(wanted) - FIRST} more")
    _warn(plan.warnings)


def say_done(done: Done) -> None:
    """Print how a batch ended, its failures, and where everything is."""
    from workbench.batch.views import counted

    batch = done.batch
    failed = [view for view in batch.rows if view.record and view.record.error and view.state == view.record.status]
    for view in failed[:MOST_FAILURES]:
        assert view.record and view.record.error
        where = f"{view.record.error.where}: " if view.record.error.cell else ""
        first = (view.record.error.message.splitlines() or [""])[0]
        typer.echo(f"✗ {view.row_id} {view.state}: {where}{view.record.error.name} {first}".rstrip(), err=True)
    if len(failed) > MOST_FAILURES:
        typer.echo(f"… and {len(failed) - MOST_FAILURES} more", err=True)
    typer.echo(f"{counted(batch)}; {done.num_executed} executed now")
    typer.echo(f"page   {batch.folder.path / 'index.html'}\ntable  {batch.folder.path / 'results.csv'}")
    if done.exit_code:
        typer.echo(f"✗ {done.why}", err=True)
        typer.echo(f"→ {done.next_move}", err=True)


def status_record(batch: Batch) -> dict[str, Any]:
    runner = batch.folder.runner()
    return {
        "folder": str(batch.folder.path), "notebook": batch.path_of_notebook, "counts": batch.counts,
        "runner": {name: runner[name] for name in ("pid", "host", "since")} if runner else None,
        "rows": [
            {
                "row_id": view.row_id, "state": view.state, "why": view.why,
                "duration_s": view.record.duration_s if view.record else None,
                "cell": {name: view.cell[name] for name in ("cell", "total", "title")} if view.cell else None,
            }
            for view in batch.rows
        ],
    }  # fmt: skip


def say_status(batch: Batch) -> None:
    """Print the counts, what runs, and what failed."""
    from workbench.batch.views import counted, said

    runner = batch.folder.runner()
    who = f"process {runner['pid']} on {runner['host']} runs it" if runner else "nobody runs it"
    typer.echo(f"{batch.notebook}: {counted(batch)}; {who}")
    quiet = ("passed", "planned", "skipped")
    rows = [(view.row_id, view.state, said(view)) for view in batch.rows if view.state not in quiet]
    if rows:
        say_rows(("row", "state", "why, or where"), rows)
    if not runner and any(state not in ("passed", "skipped") for state in batch.counts):
        from workbench.batch.carry_out import resume_command

        typer.echo(f"→ {resume_command(batch.folder)}")


def say_record(record: Record, folder: Path) -> None:
    """Print everything that is known of one row."""
    typer.echo(f"{record.row_id}: {record.status}{f', {record.reason}' if record.reason else ''}")
    facts = (
        ("notebook", record.notebook), ("started", record.started), ("seconds", f"{record.duration_s:g}"), ("CPU s", f"{record.cpu_s:g}"),
        ("peak MB", or_dash(record.peak_mb, ",.0f")), ("threads", str(record.threads)), ("attempts", str(len(record.attempts))),
        ("runs", ", ".join(run["run_id"] for run in record.runs)), ("folder", str(folder)),
    )  # fmt: skip
    say_rows(("", ""), [fact for fact in facts if fact[1]])
    say_rows(("parameter", "value"), [(name, repr(value)) for name, value in record.params.items()])
    if record.metrics:
        rows = [
            (name, f"{each.value:g}", each.unit, _interval(each.lo, each.hi), str(each.n or ""))
            for name, each in record.metrics.items()
        ]
        say_rows(("metric", "value", "unit", "interval", "n"), rows, numbers=("value", "n"))
    if record.tables:
        say_rows(("table", "rows", "file"), [(each["name"], str(each["rows"]), each["path"]) for each in record.tables])
    if record.sections:
        say_rows(
            ("section", "seconds"),
            [(name, f"{took:g}") for name, took in record.sections.items()],
            numbers=("seconds",),
        )
    if record.error:
        error = record.error
        typer.echo(
            f"✗ {error.name} ({error.category}) in {error.where}: {error.message}\n{error.cell_excerpt}\n{error.traceback_tail}"
        )


def say_difference(a: Record, b: Record) -> None:
    """Print what of two rows is not the same."""
    from workbench.batch._identity import why_stale

    rows: list[tuple[str, str, str]] = [("status", a.status, b.status)] if a.status != b.status else []
    for name in dict.fromkeys([*a.params, *b.params]):
        if a.params.get(name) != b.params.get(name):
            rows.append((name, repr(a.params.get(name)), repr(b.params.get(name))))
    for name in dict.fromkeys([*a.metrics, *b.metrics]):
        was, now = (f"{each.metrics[name].value:g}" if name in each.metrics else "–" for each in (a, b))
        if was != now:
            rows.append((name, was, now))
    rows.append(("seconds", f"{a.duration_s:g}", f"{b.duration_s:g}"))
    say_rows(("", a.row_id, b.row_id), rows)
    same_values = {**b.fingerprint, "values": a.fingerprint.get("values")}
    if changed := why_stale(a.fingerprint, same_values):
        typer.echo(f"! between them: {changed}")


def _legal(spec: ParamSpec) -> str:
    told = ", ".join(map(str, spec.choices)) or spec.bounds
    return " or ".join(filter(None, [told, "none" if spec.optional else ""]))


def _interval(low: float | None, high: float | None) -> str:
    return f"[{low:g}, {high:g}]" if low is not None and high is not None else ""


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        typer.echo(f"! {warning}", err=True)
