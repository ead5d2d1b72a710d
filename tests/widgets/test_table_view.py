"""Rows are sent by column with their ids, and a selection is told to those who didn't make it."""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

from widgets.table_view import Column, TableView

COLUMNS = [Column("run_id", "run"), Column("size", "size (B)", is_number=True)]


def sent(table: TableView) -> dict[str, Any]:
    return json.loads(zlib.decompress(table.view.packed))


def test_rows_are_sent_by_column_with_their_ids() -> None:
    table = TableView()
    table.show([{"run_id": "a", "size": (2000, "2 kB")}, {"run_id": "b"}], COLUMNS)
    assert sent(table)["ids"] == ["a", "b"]
    assert sent(table)["cells"] == [["a", "b"], [[2000, "2 kB"], None]]


def test_what_is_no_number_is_an_empty_cell() -> None:
    table = TableView()
    table.show([{"run_id": "a", "size": math.nan}, {"run_id": "b", "size": math.inf}], COLUMNS)
    assert sent(table)["cells"][1] == [None, None]


def test_ten_thousand_runs_stay_under_a_megabyte() -> None:
    table = TableView()
    measured = [Column(f"m{number}", f"measure {number}") for number in range(9)]
    rows = [
        {"run_id": f"lenet_5-{row:08x}-01", "recipe": f"train, prune {row % 97}", "format": "onnx"}
        | {each.name: math.sin(row * 7919 + number) for number, each in enumerate(measured)}
        for row in range(10_000)
    ]
    table.show(rows, [COLUMNS[0], Column("recipe", "recipe"), Column("format", "format"), *measured])
    assert len(table.view.packed) < 1_000_000


def test_only_somebody_elses_selection_is_told() -> None:
    table, told = TableView(), []
    table.on_select(told.append)
    table.select(["a"])
    assert told == [] and table.view.selected == ["a"]
    table.view.selected = ["b"]  # as the browser does
    table.view.selected = []
    table.view.selected = ["a"]
    assert told == [["b"], [], ["a"]]
