"""Shows thousands of rows as a table: sorted, searched, scrolled and selected in the browser, by id, with the keyboard too.

Sent packed and by column: ten thousand runs of twelve columns are about 0.4 MB. A row keeps its id whatever is sorted or
added, so a selection never moves to another run.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
import traitlets

from widgets._listening import Listening
from widgets.chart_host import script

HEIGHT = 340
DIGITS = 6  # of a number sent without words of its own

Cell = str | float | tuple[float, str] | None  # the pair: what it is sorted by, and its words
Chosen = Callable[[list[str]], Any]


class Column(NamedTuple):
    """One column: the key of its values in a row, what its head says, and what the head says in full."""

    name: str
    label: str
    help: str = ""
    is_number: bool = False  # set to the right


class _Table(Listening):
    _esm = script("listening.js", "unpack.js", "rows.js", "table.js")
    _css = script("table.css")
    packed = traitlets.Bytes().tag(sync=True)  # zlib of {"ids", "columns", "cells": by column}; empty = no rows yet
    selected = traitlets.List(traitlets.Unicode()).tag(sync=True)
    height = traitlets.Int(HEIGHT).tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    prefix = traitlets.Unicode().tag(sync=True)  # makes the ids of its elements unique on a page


class TableView:
    """A table of rows with ids; `view` is its widget."""

    def __init__(self, label: str = "runs", height: int = HEIGHT) -> None:
        self.view = _Table(label=label, height=height)
        self.view.prefix = f"wb-{self.view.model_id}"
        self._handlers: list[Chosen] = []
        self._asked_for: list[str] | None = None  # by `select`, None = by somebody: nobody is told what they asked for
        self.view.observe(self._hear, "selected")

    def show(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, key: str = "run_id") -> None:
        """List `rows`; a cell is a Cell, missing keys are empty. Sort, search and selection stay as they are."""
        record = {
            "ids": [row[key] for row in rows],
            "columns": [
                {"name": each.name, "label": each.label, "help": each.help, "isNumber": each.is_number}
                for each in columns
            ],
            "cells": [[_cell(row.get(each.name)) for row in rows] for each in columns],
        }
        self.view.packed = zlib.compress(orjson.dumps(record), 1)

    def select(self, ids: Sequence[str]) -> None:
        """Select these rows, whether they are listed or not; handlers of `on_select` aren't called."""
        self._asked_for = list(ids)
        self.view.selected = list(ids)

    def on_select(self, handler: Chosen) -> None:
        """Call `handler(ids)` whenever somebody selects in the table, in the order of selecting."""
        self._handlers.append(handler)

    def _hear(self, change: Mapping[str, Any]) -> None:
        asked_for, self._asked_for = self._asked_for, None
        if change["new"] == asked_for:
            return
        for handler in self._handlers:
            handler(list(change["new"]))


def _cell(value: Cell) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value
