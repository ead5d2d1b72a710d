"""The commands that execute a notebook many times: workbench batch …"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli._executor import Address, Executor, Resources
from workbench.cli._options import Json
from workbench.cli._track import Track, check, say_mirrored

Notebook = Annotated[
    Path, typer.Argument(metavar="NOTEBOOK", help="Any Python notebook; with a cell tagged `parameters`")
]
Grid = Annotated[Path | None, typer.Option("--grid", "--params", metavar="FILE", help="Grid (.yaml) or rows (.csv)")]
Pairs = Annotated[
    list[str] | None, typer.Option("-p", metavar="NAME=VALUE", help="As in bits=4,8 or seed=0..4: wins over the file")
]
Then = Annotated[
    list[Path] | None,
    typer.Option(
        "--then", metavar="NOTEBOOK", help="Follows in each row, in the same folder of results; repeat in order"
    ),
]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a batch")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the batch")]

batch = typer.Typer(
    no_args_is_help=True,
    help="Execute a notebook over a grid of parameters, unattended and resumable.",
    rich_markup_mode=None,
)


@batch.command()
def describe(notebook: Notebook, json: Json = False) -> None:
    """Print the parameters that a notebook declares.

    \b
    --json: {"schema", "notebook", "parameters": [{"name", "kind", "default", "choices", "ge", "le", "optional", "help"}],
      "warnings": [sentences]}
    """
    from workbench.batch._declared import declared, warnings
    from workbench.batch.execute import read
    from workbench.cli import _batch_pages as pages
    from workbench.cli._text import say_json

    source = read(notebook)
    specs, found = declared(source), warnings(source)
    if json:
        say_json({"notebook": notebook, "parameters": [pages.spec_record(spec) for spec in specs], "warnings": found})
    else:
        pages.say_specs(notebook, specs, found)


@batch.command()
def plan(
    notebook: Notebook, then: Then = None, grid: Grid = None, pairs: Pairs = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="See what of it is done there already")] = None,
    jobs: Annotated[int, typer.Option("-j", "--jobs", help="Rows side by side, for the estimate")] = 0,
    json: Json = False,
) -> None:  # fmt: skip
    """Say what a run would do, and all that is wrong with it; nothing is executed. Exit code 2 when something is wrong.

    \b
    --json: {"schema", "notebook", "num_rows", "wanted": [{"row_id", "given", "why"}], "done": [row ids],
      "seconds_per_row": median or null, "seconds": estimate or null, "bytes_per_row", "warnings": [sentences]}
    """
    from workbench.batch import estimate
    from workbench.batch._options import Options
    from workbench.batch._plan import make_plan
    from workbench.cli import _batch_pages as pages
    from workbench.cli._text import say_json

    made = make_plan(notebook, grid, pairs or (), then or ())
    found = estimate.estimate(made, out, jobs=Options(jobs=jobs).settled().jobs)
    if json:
        say_json(found.to_json())
    else:
        pages.say_plan(made, found)


@batch.command()
def run(
    out: Out,
    notebook: Annotated[Path | None, typer.Argument(metavar="[NOTEBOOK]", help="Default: what DIR was made for")] = None,
    then: Then = None, grid: Grid = None, pairs: Pairs = None,
    jobs: Annotated[int, typer.Option("-j", "--jobs", help="Rows side by side; 0 = half of the cores, as memory allows")] = 0,
    timeout: Annotated[str | None, typer.Option(help="For a whole notebook, as in 15m")] = None,
    cell_timeout: Annotated[str | None, typer.Option(help="For one cell, as in 5m")] = None,
    mem: Annotated[str | None, typer.Option(help="For a notebook and all that it starts, as in 3G")] = None,
    retries: Annotated[int, typer.Option(help="Further attempts for what --retry-on names")] = 0,
    retry_on: Annotated[str, typer.Option(help="Statuses and kinds of errors")] = "timeout,kernel_died,network",
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Start nothing more after the first failure")] = False,
    max_failures: Annotated[int | None, typer.Option(help="Start nothing more after so many failures")] = None,
    budget: Annotated[str | None, typer.Option(help="For the whole batch, as in 30m")] = None,
    threads_per_job: Annotated[str, typer.Option(help="A number, or auto = cores / jobs")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on in DIR; what is done is never done again without --force")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also what is done already")] = False,
    only: Annotated[str, typer.Option(help="all, failed, missing or stale")] = "all",
    where: Annotated[str, typer.Option(help="Only rows whose parameters fit, as in 'bits = 4'")] = "",
    require: Annotated[list[str] | None, typer.Option(help="As in 'accuracy >= 0.93', for every row; repeatable")] = None,
    allow_failures: Annotated[int, typer.Option(help="So many failed rows are fine")] = 0,
    junit: Annotated[Path | None, typer.Option(metavar="FILE.xml", help="Write a JUnit report")] = None,
    pages_of: Annotated[str, typer.Option("--pages", help="Which rows also get a page: all, failed or none")] = "failed",
    exclusive: Annotated[bool, typer.Option("--exclusive-latency/--no-exclusive-latency", help="Pause other rows while one measures")] = True,
    cold: Annotated[bool, typer.Option("--cold", help="A new interpreter for everything, nothing warmed up before")] = False,
    executor: Executor = "local", address: Address = "", resources: Resources = None,
    track: Track = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say the result only")] = False,
    json_events: Annotated[bool, typer.Option("--json-events", help="One JSON object per event, on stdout")] = False,
) -> None:  # fmt: skip
    """Execute the rows of a grid that are not done, one process each; the same command goes on after any interruption.

    \b
    Exit codes: 0 all passed and requirements met · 1 some failed · 2 bad input, nothing ran · 3 a requirement isn't met ·
      4 a row's process broke · 5 stopped by budget, failures or `stop` · 130 interrupted
    """
    from workbench.batch._folder import Folder
    from workbench.batch._options import Options, amounts, memory, seconds, words
    from workbench.batch.carry_out import Request, carry_out
    from workbench.cli import _batch_pages as pages
    from workbench.cli._batch_progress import progress
    from workbench.errors import InvalidInput

    check(track)
    if only not in ("all", "failed", "missing", "stale"):
        raise InvalidInput([f"--only: {only!r} is not one of all, failed, missing, stale"])
    if resume:
        Folder(out).require()
    if notebook is None and not Folder(out).exists:
        raise InvalidInput(["which notebook?"], next_move="workbench batch run NOTEBOOK --out DIR")
    options = Options(
        jobs=jobs, threads=_threads(threads_per_job), timeout_s=seconds(timeout, "--timeout") if timeout else None,
        cell_timeout_s=seconds(cell_timeout, "--cell-timeout") if cell_timeout else None,
        memory_bytes=memory(mem, "--mem") if mem else None, retries=retries, retry_on=words([retry_on]),
        max_failures=0 if fail_fast else max_failures, budget_s=seconds(budget, "--budget") if budget else None, cold=cold, exclusive=exclusive, pages=pages_of,
        executor=executor, address=address, resources=amounts(resources or (), "--resources"),
    )  # fmt: skip
    request = Request(
        out, notebook, grid, tuple(pairs or ()), options, force, only, where, tuple(require or ()), allow_failures, junit, tuple(then or ()),  # type: ignore[arg-type]
    )  # fmt: skip
    with progress(quiet=quiet, json_events=json_events) as shown:
        done = carry_out(request, tell=shown.look, on_plan=shown.begin)
    if json_events:
        shown.end(done)
    else:
        pages.say_done(done)
    if track:
        from workbench.track import mirror_batch

        mirrored = mirror_batch(done.batch, track)
        say_mirrored(track, mirrored.added, mirrored.already_there)
    if done.exit_code:
        raise typer.Exit(done.exit_code)


@batch.command()
def script(
    notebook: Notebook, out: Out, then: Then = None, grid: Grid = None, pairs: Pairs = None,
    parts: Annotated[int, typer.Option(help="How many parts, each with a folder of its own")] = 1,
    jobs: Annotated[int, typer.Option("-j", "--jobs", help="Rows side by side in a part")] = 1,
    threads_per_job: Annotated[int, typer.Option(min=1, help="For each row")] = 1,
    timeout: Annotated[str | None, typer.Option(help="For a whole notebook, as in 15m")] = None,
    mem: Annotated[str | None, typer.Option(help="For a notebook and all that it starts, as in 3G")] = None,
) -> None:  # fmt: skip
    """Write a batch as shell lines, one per part, and as a Slurm array that runs them; nothing is executed."""
    from workbench.batch import script as scripts
    from workbench.batch._options import Options, memory, seconds
    from workbench.batch._plan import make_plan

    options = Options(
        jobs=jobs, threads=threads_per_job, timeout_s=seconds(timeout, "--timeout") if timeout else None,
        memory_bytes=memory(mem, "--mem") if mem else None,
    )  # fmt: skip
    written = scripts.write_script(make_plan(notebook, grid, pairs or (), then or ()), out, options, parts=parts)
    typer.echo(f"{written.lines}\nsbatch {written.array}\n→ afterwards: {written.collect}")


@batch.command()
def stop(
    folder: Folder, now: Annotated[bool, typer.Option("--now", help="Also end the rows that run")] = False,
) -> None:  # fmt: skip
    """Ask the runner of a batch to start nothing more; what is finished is kept, and it can go on later."""
    from workbench.batch._folder import Folder as BatchFolder

    BatchFolder(folder).ask_to_stop(at_once=now)
    typer.echo("asked; workbench batch status says when it has ended")


@batch.command()
def retry(
    folder: Folder,
    jobs: Annotated[int, typer.Option("-j", "--jobs", help="Rows side by side; 0 = as before")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say the result only")] = False,
) -> None:
    """Execute again, with the limits of before, what failed; rows that never ran are left to `run --resume`."""
    from dataclasses import replace

    from workbench.batch._folder import Folder as BatchFolder
    from workbench.batch._options import Options
    from workbench.batch.carry_out import Request, carry_out
    from workbench.cli import _batch_pages as pages
    from workbench.cli._batch_progress import progress

    before = BatchFolder(folder).plan()
    options = Options.from_json(before["options"])
    request = Request(
        folder, options=replace(options, jobs=jobs or options.jobs), only="failed", require=tuple(before["require"])
    )
    with progress(quiet=quiet, json_events=False) as shown:
        done = carry_out(request, tell=shown.look, on_plan=shown.begin)
    pages.say_done(done)
    if done.exit_code:
        raise typer.Exit(done.exit_code)


def _threads(text: str) -> int:
    from workbench.errors import InvalidInput

    if text == "auto":
        return 0
    if not text.isdigit() or not int(text):
        raise InvalidInput([f"--threads-per-job: {text!r} is neither auto nor a number from 1 on"])
    return int(text)
