"""Two runs side by side: verdicts in words, layers read aside, timing together told however it ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.widgets.pairs import pruned_run, session_of
from widgets.compare_runs import TITLES, CompareRuns
from widgets.session import Session
from workbench import together
from workbench.errors import InvalidInput
from workbench.nouns import Run
from workbench.store import Store


@pytest.fixture
def run(shared_store: Store) -> Run:
    return pruned_run(shared_store)


@pytest.fixture
def panel(shared_store: Store, run: Run) -> CompareRuns:
    """The panel as it is seen, of the pruned run against its parent."""
    session, pump = session_of(shared_store)
    session.b = run.run_id
    panel = CompareRuns(session, pump)
    panel.on_shown()
    pump.drain()
    return panel


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """A store of this test's own for what is timed together; the runs stay in the shared one."""
    store = Store(tmp_path / "runs")
    store.root.mkdir()
    monkeypatch.setattr(Session, "store", store)
    return store


def kept_together(a: Run, b: Run, store: Store, *, slower: float) -> together.Together:
    """Write samples of both as `measure_together` does."""
    a_ms = np.random.default_rng(0).gamma(50, 0.001, (3, 34))
    found = together.Together(a_ms, a_ms * slower, {"threads": 1, "batch": 1, "measured_alone": True})
    together._keep(found, a, b, store)
    return found


def test_every_difference_has_a_verdict_in_words(panel: CompareRuns) -> None:
    html = panel.table.value
    assert "▼ B is worse" in html and "broken" in html and "＝ the same" in html
    assert "never timed together" in html
    assert "B is worse" in panel.told.value and "wb-headline" in panel.told.value
    assert "n = " in html or "/900" in html


def test_every_chart_is_drawn_and_layers_come_worst_first(panel: CompareRuns) -> None:
    assert all(panel.charts[title].figure for title in TITLES)
    facts = panel.layers.facts
    assert facts is not None and panel.layers.chart.figure and panel.layers.weights.figure
    known = [row.sqnr_db for row in facts.data.rows if row.sqnr_db is not None]
    assert known == sorted(known) and len(known) == 3
    assert all(row.density == pytest.approx(0.3, abs=0.02) for row in facts.data.rows)
    assert all(row.bytes_before for row in facts.data.rows)


def test_a_click_on_a_layer_shows_its_weights(panel: CompareRuns) -> None:
    before, last = panel.layers.weights.figure, panel.layers.facts.with_weights[-1]
    panel.layers.chart._hear(None, {"kind": "click", "values": [last]}, None)
    panel.pump.drain()
    assert panel.layers.layer.value == last and panel.layers.weights.figure != before


def test_timing_together_fills_the_row_and_takes_the_button_away(
    panel: CompareRuns, monkeypatch: pytest.MonkeyPatch, elsewhere: Store
) -> None:
    monkeypatch.setattr(together, "measure_together", lambda a, b, store: kept_together(a, b, store, slower=2.0))
    assert panel.together.view.layout.display is None
    panel.together.button.click()
    panel.pump.drain()
    assert "▼ B is slower" in panel.table.value and "× 2.000" in panel.table.value
    assert "measured together, alone" in panel.table.value
    assert panel.together.view.layout.display == "none"


def test_timing_that_fails_says_why_and_may_be_tried_again(panel: CompareRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise InvalidInput(["the two take <different> inputs"])

    monkeypatch.setattr(together, "measure_together", fails)
    panel.together.button.click()
    panel.pump.drain()
    assert "&lt;different&gt; inputs" in panel.together.told.value and 'role="alert"' in panel.together.told.value
    assert not panel.together.button.disabled and panel.together.view.layout.display is None


def test_timing_that_breaks_is_not_lost(panel: CompareRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError("nobody foresaw this")

    told: list[Exception] = []
    panel.pump.on_error = told.append
    monkeypatch.setattr(together, "measure_together", breaks)
    panel.together.button.click()
    panel.pump.drain()
    assert isinstance(told[0], ZeroDivisionError)
    assert "nobody foresaw" in panel.together.told.value and not panel.together.button.disabled


def test_another_pair_is_shown_when_it_is_picked(panel: CompareRuns, run: Run) -> None:
    panel.session.a, panel.session.b = run.run_id, run.parent
    panel.pump.drain()
    assert "▲ B is better" in panel.table.value and f"({run.parent})" in panel.told.value


def test_without_a_pair_it_says_what_to_do(shared_store: Store, run: Run) -> None:
    session, pump = session_of(shared_store)
    panel = CompareRuns(session, pump)
    panel.on_shown()
    assert "Pick a run as B" in panel.told.value and panel.body.layout.display == "none"
    assert len(panel.static()) == 1


def test_an_update_that_changes_nothing_sends_nothing(panel: CompareRuns) -> None:
    sent: list[object] = []
    for widget in (panel.told, panel.table, *panel.charts.values(), panel.layers.chart, panel.layers.told):
        widget.observe(sent.append)
    panel.session.refresh()
    panel.update()
    panel.pump.drain()
    assert sent == []


def test_the_static_form_holds_the_table_and_every_chart(shared_store: Store, run: Run) -> None:
    session, pump = session_of(shared_store)
    session.b = run.run_id
    shown = CompareRuns(session, pump).static()
    assert "wb-table" in shown[1].data
    assert len([each for each in shown if hasattr(each, "to_json")]) == len(TITLES) + 2


@pytest.mark.slow
def test_two_runs_are_really_timed_together(panel: CompareRuns, elsewhere: Store) -> None:
    panel.together.button.click()
    panel.pump.drain()
    assert panel.together.told.value == "", panel.together.told.value
    assert "pairs" in panel.table.value and panel.together.view.layout.display == "none"
