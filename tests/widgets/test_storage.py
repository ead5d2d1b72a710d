"""The storage panel shows what would go before anything goes, and hands runs between stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import small_job
from widgets.pump import Pump
from widgets.session import Session
from widgets.storage import Storage
from workbench import tidy
from workbench.bench import carry_out
from workbench.marks import mark
from workbench.store import Store


@pytest.fixture
def panel(tmp_path: Path) -> Storage:
    store = Store(tmp_path / "runs")
    carry_out(small_job(), store)
    session = Session(store.root)
    session.refresh()
    return Storage(session, Pump())


def press(panel: Storage, button: str) -> None:
    getattr(panel, button).click()
    panel.pump.drain()


def test_within_the_quota_nothing_can_be_removed(panel: Storage) -> None:
    press(panel, "look")
    assert "nothing has to go" in panel.listed.value and panel.remove.disabled


def test_what_would_go_is_listed_and_stays_until_remove_is_pressed(panel: Storage) -> None:
    store = panel.session.store
    used = tidy.plan(store, quota_bytes=10**12).used_bytes
    panel.quota.value = str(used - 1)
    press(panel, "look")
    assert "why it may go" in panel.listed.value and not panel.remove.disabled
    assert tidy.plan(store, quota_bytes=10**12).used_bytes == used, "looking removes nothing"
    press(panel, "remove")
    assert "freed" in panel.listed.value and panel.remove.disabled
    assert tidy.plan(store, quota_bytes=10**12).used_bytes < used


def test_a_quota_that_cannot_be_met_removes_nothing(panel: Storage) -> None:
    run_id = panel.session.runs[0].run_id
    mark(panel.session.store, run_id, pinned=True)
    panel.quota.value = "1"
    press(panel, "look")
    assert panel.remove.disabled and panel.session.store.get(run_id)


def test_a_quota_that_is_no_size_is_refused_in_words(panel: Storage) -> None:
    told: list[Exception] = []
    panel.pump.on_error = told.append
    panel.quota.value = "plenty"
    press(panel, "look")
    assert "is not a size" in str(told[0])


def test_runs_go_to_another_store_and_are_taken_in_there(panel: Storage, tmp_path: Path) -> None:
    run_id = panel.session.runs[0].run_id
    panel.session.selected = (run_id,)
    panel.target.value = str(tmp_path / "given.zip")
    press(panel, "give")
    assert "workbench import given.zip" in panel.told.value
    other = Storage(Session(tmp_path / "other"), Pump())
    other.target.value = panel.target.value
    press(other, "take")
    assert "1 runs added" in other.told.value and [run.run_id for run in other.session.runs] == [run_id]


def test_a_file_that_is_no_runs_is_said_where_it_was_asked(panel: Storage, tmp_path: Path) -> None:
    panel.target.value = str(tmp_path / "missing.zip")
    press(panel, "take")
    assert 'role="alert"' in panel.told.value and "missing.zip" in panel.told.value


def test_exporting_nothing_says_what_to_do(panel: Storage) -> None:
    told: list[Exception] = []
    panel.pump.on_error = told.append
    press(panel, "give")
    assert "brush points" in str(told[0])
