"""`python -m workbench.batch.execute NOTEBOOK OUTPUT`: progress while the work goes on, then what the notebook says."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.batch._declared import declared, from_text
from workbench.errors import InvalidInput, WorkbenchError

if TYPE_CHECKING:
    from rich.console import Console


def main(arguments: list[str] | None = None) -> int:
    """Execute one notebook from the command line; returns the exit code: 0 done, 1 failed, 2 bad input."""
    from rich.console import Console

    options = _options().parse_args(arguments)
    complaints = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        _execute(options, Console(highlight=False, soft_wrap=True))
    except InvalidInput as error:
        for problem in error.problems:
            complaints.print(f"✗ {problem}", markup=False)
        return error.exit_code
    except WorkbenchError as error:
        complaints.print(f"✗ {error}", markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        complaints.print("\n✗ stopped; what was finished is kept: the same command goes on from there", markup=False)
        return 130
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workbench.batch.execute", description="Execute one notebook.")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("output", type=Path, help="where the executed copy goes (.ipynb)")
    parser.add_argument("-p", dest="pairs", action="append", default=[], metavar="NAME=VALUE", help="a parameter")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="limit for the whole notebook")
    return parser


def _execute(options: argparse.Namespace, console: Console) -> None:
    from workbench.batch._follow import Follower
    from workbench.batch.execute import execute, read

    parameters = from_text(declared(read(options.notebook)), options.pairs)
    with (
        tempfile.TemporaryDirectory(prefix="workbench-") as folder,
        Follower(console, Path(folder, "told")) as follower,
    ):
        done = execute(
            options.notebook,
            options.output,
            parameters=parameters,
            timeout_seconds=options.timeout,
            on_cell=follower.cell,
        )
    console.print(done.echo.rstrip(), markup=False)
    console.print(f"executed {options.notebook} → {done.path} in {done.took_seconds:.0f} s", markup=False)
