"""The commands that open notebooks, and the one that makes a page of one: workbench lab, app, html."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

FURTHER_WORDS = {"allow_extra_args": True, "ignore_unknown_options": True}  # they go to JupyterLab or Voila


def html_page(
    notebook: Annotated[Path, typer.Argument(metavar="EXECUTED.ipynb", help="A notebook with its outputs")],
    page: Annotated[Path | None, typer.Argument(metavar="PAGE.html", help="Default: beside the notebook")] = None,
) -> None:
    """Write an executed notebook as one page that works offline, with live charts."""
    from workbench.batch.page import write_page

    typer.echo(write_page(notebook, page or notebook.with_suffix(".html")))


def lab(context: typer.Context) -> None:
    """Open JupyterLab on the workbench; further words go to JupyterLab, as in `workbench lab --no-browser`."""
    from workbench.lab import folder_to_work_in

    notebook = folder_to_work_in(Path.cwd()) / "10_workbench.ipynb"
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", str(notebook), *context.args])


def application(context: typer.Context) -> None:
    """Open the workbench as an app, without cells, through Voila; further words go to it, as in `--no-browser --port=8866`.

    It listens on this machine only. Whoever opens the page can run jobs as you.
    """
    from workbench.lab import folder_to_work_in, voila_command

    os.execv(sys.executable, voila_command(folder_to_work_in(Path.cwd()) / "10_workbench.ipynb", context.args))
