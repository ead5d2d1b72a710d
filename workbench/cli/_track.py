"""The command that mirrors runs and batches into MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli._options import HERE, Store

if TYPE_CHECKING:
    from workbench.nouns import Run

Track = Annotated[
    str | None, typer.Option("--track", metavar="URI", help="Mirror into MLflow: sqlite:///FILE or http://…")
]


def track(
    to: Annotated[str, typer.Option("--to", metavar="URI", help="sqlite:///FILE or http://HOST:PORT")],
    targets: Annotated[list[str] | None, typer.Argument(metavar="[RUN|DIR]…", help="Runs, or folders of batches; default: every run")] = None,
    experiment: Annotated[str, typer.Option(help="Default: workbench, or the notebook's name")] = "",
    store: Store = HERE,
) -> None:  # fmt: skip
    """Mirror finished runs, or batches with their rows and runs, into MLflow; what is there already is not written again."""
    from workbench import track as tracking
    from workbench.batch.views import batch_in
    from workbench.cli._input import find_run
    from workbench.store import Store as RunStore

    runs = RunStore(store)
    folders = [Path(name) for name in targets or () if (Path(name) / "batch.json").is_file()]
    named = [name for name in targets or () if Path(name) not in folders]
    wanted = [find_run(runs, name) for name in named] if targets else runs.runs()
    found = [tracking.mirror_batch(batch_in(folder), to, experiment=experiment) for folder in folders]
    if wanted:
        found.append(tracking.mirror_runs(wanted, to, experiment=experiment or "workbench"))
    say_mirrored(to, sum(each.added for each in found), sum(each.already_there for each in found))


def say_mirrored(uri: str, added: int, already_there: int) -> None:
    typer.echo(f"{uri}: {added} new{f', {already_there} there already' if already_there else ''}", err=True)


def check(uri: str | None) -> None:
    """Refuse a tracker that can't be one before anything runs."""
    from workbench.errors import InvalidInput
    from workbench.track import why_not

    if uri and (problems := why_not(uri)):
        raise InvalidInput(problems, next_move="as in sqlite:///mlflow.db or http://localhost:5000")


def mirror(runs: Sequence[Run], uri: str | None) -> None:
    """Mirror runs, where somebody asked for it."""
    if uri:
        from workbench import track as tracking

        found = tracking.mirror_runs(runs, uri)
        say_mirrored(uri, found.added, found.already_there)
