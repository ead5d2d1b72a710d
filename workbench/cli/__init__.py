"""The command line over all of it. Exit codes: 0 done, 1 failed, 2 bad input.

Everything a command needs is imported inside it, so that `workbench parts` answers at once.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from workbench.cli import (
    _batch_results,
    _diagnose,
    _doctor,
    _instructor,
    _join,
    _jupyter,
    _layers,
    _lesson,
    _lifecycle,
    _load,
    _package,
    _plan,
    _protect,
    _queue,
    _results,
    _scale,
    _search,
    _serve,
    _shrink,
    _study,
    _track,
)
from workbench.cli._options import (
    HERE,
    Data,
    Format,
    JobFile,
    Json,
    Launcher,
    Layout,
    Metrics,
    Model,
    Seed,
    Step,
    Store,
    exit_unless,
)
from workbench.cli._signals import ending_like_ctrl_c
from workbench.errors import Cancelled, WorkbenchError


class _Commands(typer.core.TyperGroup):
    """Turns every WorkbenchError into words and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with ending_like_ctrl_c():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            error: WorkbenchError = Cancelled("stopped", next_move="run the same again: finished steps are kept")
        except WorkbenchError as caught:
            error = caught
        from workbench.cli._text import error_text

        typer.echo(error_text(error), err=True)
        raise typer.Exit(error.exit_code)


app = typer.Typer(
    cls=_Commands, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
    help="Compress, measure and compare models. Exit codes: 0 done, 1 failed, 2 bad input.",
)  # fmt: skip


@app.callback()
def _always(
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where an unexpected error came from")] = False,
) -> None:
    """Compress, measure and compare models. Exit codes: 0 done, 1 failed, 2 bad input."""


@app.command()
def parts(
    family: Annotated[
        str | None, typer.Argument(help="zoo, data, compress, formats, measure, launch or layout")
    ] = None,
    json: Json = False,
) -> None:
    """List what can be picked, and its parameters.

    \b
    --json: {"schema", "families": {FAMILY: [{"name", "title", "help", "source", "missing": [reasons], "parameters":
      [{"name", "kind", "default", "help", "unit", "choices", "ge", "gt", "le", "lt", "bounds", "part", "optional",
      "required"}]}]}}
    """
    from workbench.cli import _pages as pages
    from workbench.cli._text import say_json

    found = pages.parts_record(family)
    if json:
        say_json({"families": found})
    else:
        pages.say_parts(found, in_full=family is not None)


@app.command()
def run(
    job_file: JobFile = None, model: Model = None, data: Data = None, step: Step = None, format: Format = None,
    metrics: Metrics = None, seed: Seed = None, layout: Layout = None, launcher: Launcher = None, store: Store = HERE,
    again: Annotated[bool, typer.Option("--again", help="Make another run even when one is done")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what a launcher would submit, and submit nothing")] = False,
    track: _track.Track = None, json: Json = False,
) -> None:  # fmt: skip
    """Carry out one job: its parent and reference first, then train, compress, save, measure.

    `--format fastest` carries it out in each format that can hold the model, and says which answers first and why.

    \b
    Nested values are dotted:  --step 'distill teacher.use=resnet teacher.depth=18'  or  teacher=run:RUN_ID
    --json: the run record (run.json: run_id, job_id, status, error, job, versions, machine, cpu_seconds, measurements:
      [{name, unit, better, value, lo, hi, interval, k, n, samples_in, conditions}], artifact, …) and "folder";
      with --format fastest: {"schema", "winner": run id, "format", "why": [sentences], "rivals": [{"run_id", "format",
      "reason", "how", "ratio", "lo", "hi", "is_tied"}], "refused": {FORMAT: [reasons]}}
    """
    from workbench import bench
    from workbench.cli import _fastest
    from workbench.cli import _pages as pages
    from workbench.cli._input import job_record
    from workbench.cli._progress import RunProgress
    from workbench.cli._text import say_json
    from workbench.job import Job
    from workbench.store import Store as RunStore
    from workbench.study import FASTEST

    _track.check(track)
    record = job_record(
        job_file, model=model, data=data, steps=step, format=format, metrics=metrics, seed=seed, layout=layout,
        launcher=launcher,
    )  # fmt: skip
    if record.get("format") == FASTEST:
        _fastest.run_each(record, RunStore(store), again=again, json=json, track=track)
        return
    job = Job.from_json(record)
    if dry_run:
        typer.echo(pages.preview_text(job, store), nl=False)
        return
    with RunProgress() as progress:
        done = bench.carry_out(job, RunStore(store), again=again, on_event=progress)
    if json:
        say_json({**done.to_json(), "folder": done.folder})
    else:
        pages.say_run(done)
    _track.mirror([done], track)
    exit_unless(done.status == "done")


@app.command()
def estimate(
    job_file: JobFile = None, model: Model = None, data: Data = None, step: Step = None, format: Format = None,
    metrics: Metrics = None, seed: Seed = None, json: Json = False,
) -> None:  # fmt: skip
    """Say what each step of a job will do to bytes, operations, latency and memory, before anything runs.

    \b
    --json: {"schema", "job_id", "format", "steps": [{"after", "precision", "artifact_bytes", "dense_bytes",
      "nonzero_params", "macs", "latency_ms_low", "latency_ms_high", "memory_bytes", "notes"}]}; null = not known
    """
    from workbench import bench, ceilings
    from workbench.cli import _pages as pages
    from workbench.cli._input import job_from
    from workbench.cli._text import say_json
    from workbench.describe import model_card
    from workbench.estimate import estimate as costs_of

    job = job_from(job_file, model=model, data=data, steps=step, format=format, metrics=metrics, seed=seed)
    bench.check(job)
    card = model_card(job)
    cards = job.cards(card)
    costs = costs_of(cards, job.format.name(), ceilings.known())
    if json:
        say_json(pages.estimate_record(job, cards, costs))
    else:
        pages.say_estimate(job, cards, costs)


for _command in (
    _results.table,
    _results.show,
    _layers.layers,
    _diagnose.diagnose,
    _diagnose.calibration,
    _results.compare,
    _results.choose,
):
    app.command()(_command)
app.command()(_study.study)
app.command()(_doctor.doctor)
app.command()(_search.search)
app.command()(_search.reach)
app.command()(_scale.scale)
app.command()(_shrink.shrink)
app.command()(_join.join)
app.command()(_plan.inspect)
app.command()(_plan.plan)
app.command()(_plan.hardware)
app.command()(_queue.queue)
app.command()(_track.track)
app.command("html")(_jupyter.html_page)
app.command(context_settings=_jupyter.FURTHER_WORDS)(_jupyter.lab)
app.command("app", context_settings=_jupyter.FURTHER_WORDS)(_jupyter.application)
app.add_typer(_batch_results.batch, name="batch")
app.add_typer(_protect.protect, name="protect")
app.add_typer(_serve.repository, name="repository")
app.add_typer(_serve.apikeys, name="apikeys")
app.add_typer(_lesson.lesson, name="lesson")
app.add_typer(_instructor.instructor, name="instructor")
app.command("serve")(_serve.serve)
app.command("tag", context_settings={"ignore_unknown_options": True})(_lifecycle.tag)  # -NAME is no option
for _change in (_lifecycle.note, _lifecycle.pin, _lifecycle.unpin, _lifecycle.delete, _lifecycle.gc, _lifecycle.export):
    app.command()(_change)
app.command("import")(_lifecycle.take_in)
app.command()(_package.package)
app.command()(_load.load)


def main() -> None:
    """Entry point: an error that nobody foresaw is one line and a file, or the whole with --traceback."""
    try:
        app()
    except Exception as error:
        if "--traceback" in sys.argv:
            raise
        from workbench.cli._text import keep_traceback

        typer.echo(f"error: {type(error).__name__}: {error}", err=True)
        typer.echo(f"→ this is a fault of the workbench; its traceback is in {keep_traceback(error)}", err=True)
        sys.exit(1)
