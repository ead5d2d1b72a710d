"""The commands that look at what a batch has done, or tidy it: status, show, report, collect, diff, clean."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli._batch import Folder, batch
from workbench.cli._options import Json

SECONDS_BETWEEN_LOOKS = 2.0


@batch.command()
def status(
    folder: Folder,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again until nobody runs it any more")] = False,
    json: Json = False,
) -> None:
    """Say how far a batch is.

    \b
    --json: {"schema", "folder", "notebook", "runner": {"pid", "host", "since"} or null, "counts": {STATE: count},
      "rows": [{"row_id", "state", "why", "duration_s", "cell": {"cell", "total", "title"}}]}
    """
    from workbench.batch.views import batch_in
    from workbench.cli import _batch_pages as pages
    from workbench.cli._text import say_json

    found = batch_in(folder)
    while watch and found.folder.runner():
        pages.say_status(found)
        time.sleep(SECONDS_BETWEEN_LOOKS)
        found = batch_in(folder)
    if json:
        say_json(pages.status_record(found))
    else:
        pages.say_status(found)


@batch.command()
def report(
    folder: Folder, pages: Annotated[bool, typer.Option("--pages", help="Also a page of every executed notebook")] = False,
) -> None:  # fmt: skip
    """Write the page, the table and the summary of a batch anew, as it stands; prints the page's path."""
    from workbench.batch._outputs import write_outputs, write_pages
    from workbench.batch.views import batch_in

    found = batch_in(folder)
    if pages:
        write_pages(found)
    write_outputs(found)
    typer.echo(found.folder.path / "index.html")


@batch.command()
def show(
    folder: Folder,
    row: Annotated[str, typer.Argument(metavar="ROW", help="A row id, its beginning or its end")],
    json: Json = False,
) -> None:
    """Show one row: parameters, status, metrics, sections, and what went wrong.

    \b
    --json: the record (record.json)
    """
    from workbench.batch._folder import Folder as BatchFolder
    from workbench.batch._record import read_record
    from workbench.cli import _batch_pages as pages
    from workbench.cli._text import say_json

    kept = BatchFolder(folder)
    row_id = kept.find(row)
    record = read_record(kept.row(row_id))
    if json:
        say_json(record.model_dump(by_alias=True))
    else:
        pages.say_record(record, kept.row(row_id))


@batch.command()
def collect(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR…", help="Folders of batches")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="results.csv or results.parquet")],
) -> None:
    """Write the rows of several batches into one table, with a column `meta.batch`."""
    from workbench.batch._folder import Folder as BatchFolder
    from workbench.batch._frame import table, write_table
    from workbench.batch.views import look
    from workbench.errors import InvalidInput

    if output.suffix not in (".csv", ".parquet"):
        raise InvalidInput([f"{output}: the name must end in .csv or .parquet"])
    rows = table((str(folder), look(BatchFolder(folder))) for folder in folders)
    write_table(rows, output)
    typer.echo(f"{output}: {len(rows)} rows")


@batch.command()
def diff(
    folder: Folder,
    a: Annotated[str, typer.Argument(metavar="A", help="A row id, its beginning or its end")],
    b: Annotated[str, typer.Argument(metavar="B", help="The row to hold against it")],
) -> None:
    """Say in what two rows of a batch differ: parameters, source, metrics, time."""
    from workbench.batch._folder import Folder as BatchFolder
    from workbench.batch._record import read_record
    from workbench.cli import _batch_pages as pages

    kept = BatchFolder(folder)
    pages.say_difference(*(read_record(kept.row(kept.find(wanted))) for wanted in (a, b)))


@batch.command()
def clean(
    folder: Folder,
    keep_last: Annotated[int, typer.Option(help="So many rows, the last ones to end, keep everything")] = 0,
    keep_front: Annotated[bool, typer.Option("--keep-front", help="So do rows that nothing else beats")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it is only said what would go")] = False,
) -> None:
    """Remove what rows left beside their records: executed notebooks, logs, files, attempts. Records, table and page stay."""
    from workbench.batch import clean as cleaning
    from workbench.batch._folder import Folder as BatchFolder
    from workbench.wording import bytes_text

    kept = BatchFolder(folder)
    planned = cleaning.plan(kept, keep_last=keep_last, keep_front=keep_front)
    typer.echo(
        f"{len(planned.paths)} files and folders, {bytes_text(planned.num_bytes)}; {len(planned.kept)} rows keep everything"
    )
    if yes:
        cleaning.carry_out(kept, planned)
        typer.echo("removed")
    elif planned.paths:
        typer.echo("→ add --yes to remove them")
