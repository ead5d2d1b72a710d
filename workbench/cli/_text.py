"""How the command line prints anything: errors in words, JSON for programs, tables for people."""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from workbench.errors import InvalidInput, WorkbenchError
from workbench.nouns import SCHEMA

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_OF_A_PIPE = 180  # columns when nobody watches, so that run ids are not cut


def error_text(error: WorkbenchError) -> str:
    """Return message, all problems and next move."""
    if isinstance(error, InvalidInput) and len(error.problems) > 1:
        lines = [f"error: {len(error.problems)} problems", *(f"  • {problem}" for problem in error.problems)]
    else:
        lines = [f"error: {error.message}"]
    return "\n".join([*lines, f"→ {error.next_move}"] if error.next_move else lines)


def keep_traceback(error: Exception) -> Path:
    """Write the traceback to a new file and return its path."""
    with tempfile.NamedTemporaryFile("w", prefix="workbench-error-", suffix=".txt", delete=False) as file:
        file.write("".join(traceback.format_exception(error)))
    return Path(file.name)


def say_json(record: Mapping[str, Any]) -> None:
    """Print a record with its schema number; what JSON has no number for becomes null."""
    plain = _plain({"schema": SCHEMA, **record})
    typer.echo(json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False, default=str))


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def console() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_PIPE, highlight=False)


def say_rows(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", numbers: Sequence[str] = ()
) -> None:
    """Print a table; columns named in `numbers` are aligned right."""
    from rich.markup import escape
    from rich.table import Table

    grid = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in head:
        grid.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(escape(cell) for cell in row))
    console().print(grid)


def or_dash(value: Any, form: str) -> str:
    """Return a formatted value, a dash when there is none."""
    return "–" if value is None else format(value, form)


def span(low: Any, high: Any, form: str) -> str:
    return "–" if low is None or high is None else f"{low:{form}} to {high:{form}}"


def with_interval(value: Any, low: Any, high: Any, form: str) -> str:
    return or_dash(value, form) if low is None else f"{value:{form}} ({low:{form}}–{high:{form}})"
