"""The live table of a batch: what a person sees while it runs, after it ended, and where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "batch"))  # folders are crafted as the tests of batches craft them

from batch_folders import crafted

from widgets.pump import Pump
from widgets.watch_batch import MOST_ROWS, WatchBatch, _table, attach
from workbench.batch._folder import Folder
from workbench.batch.views import Batch, View


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return crafted(tmp_path, 5, failing=2)


def test_it_shows_counts_failures_first_and_escapes_what_they_say(folder: Folder) -> None:
    watching = WatchBatch(folder.path, Pump())
    assert "3 passed, 2 failed" in watching.told.value and watching.bar.value == 5
    assert watching.rows.value.index("failed") < watching.rows.value.index("passed<")
    assert "no &lt;b&gt;file" in watching.rows.value
    assert watching.stop.layout.display == "none"  # nobody runs it


def test_it_says_where_a_running_row_is_and_can_ask_to_stop(folder: Folder) -> None:
    row_id = next(iter(folder.records()))
    with folder.held():
        folder.note(row_id, "running")
        folder.draft(row_id).mkdir()
        (folder.draft(row_id) / "progress.jsonl").write_text(
            '{"cell": 2, "total": 7, "title": "Train", "line": "x"}\n{"ce'
        )
        pump = Pump()
        watching = WatchBatch(folder.path, pump)
        assert "cell 2 of 7: Train" in watching.rows.value and watching.stop.layout.display is None
        watching.stop.click()
        pump.drain()
        assert folder.asked_to_stop() == {"at_once": False}


def test_a_folder_without_a_batch_is_said(tmp_path: Path) -> None:
    assert "holds no batch" in WatchBatch(tmp_path, Pump()).told.value


def test_without_a_browser_it_is_a_sentence(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_VIEW", "static")
    assert attach(folder.path) == "3 passed, 2 failed"


@pytest.mark.parametrize(("num_failed", "num_passed"), [(MOST_ROWS, 300), (MOST_ROWS - 2, 300), (1, 3)])
def test_the_table_stays_short_however_many_rows_passed(num_failed: int, num_passed: int) -> None:
    states = ["failed"] * num_failed + ["passed"] * num_passed
    rows = [View(f"row-{index}-", {}, state) for index, state in enumerate(states)]
    table = _table(Batch(Folder(Path("nowhere")), "nowhere.ipynb", tuple(rows)))
    assert table.count("row-") == min(MOST_ROWS, num_failed + num_passed)
    assert table.count(">passed<") == min(num_passed, MOST_ROWS - num_failed)
