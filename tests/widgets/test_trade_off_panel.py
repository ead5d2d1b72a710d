"""Budgets, recommendation and chart, driven without a browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.widgets.trade_offs import points, session_of_four
from widgets.pump import Pump
from widgets.session import Session
from widgets.trade_off import TradeOff
from workbench.compare import choose
from workbench.errors import WorkbenchError


def set_budget(panel: TradeOff, name: str, value: float) -> None:
    row = panel.budgets.rows[name]
    row.free.value, row.slider.value = False, value
    panel.pump.drain()


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return session_of_four(tmp_path)


@pytest.fixture
def panel(session: Session) -> TradeOff:
    panel = TradeOff(session, Pump())
    panel.pump.drain()
    return panel


def test_a_budget_moved_by_hand_changes_count_and_recommendation(session: Session, panel: TradeOff) -> None:
    assert "4 of 4 fit: no budget is set" in panel.verdict.text.value
    set_budget(panel, "max_latency_ms", 0.2)
    assert session.budgets["max_latency_ms"] == 0.2 and "3 of 4 fit" in panel.verdict.text.value
    set_budget(panel, "max_drop", 3.0)
    assert "2 of 4 fit" in panel.verdict.text.value and "<code>small-01</code>" in panel.verdict.text.value
    marks = panel.picture.marks(session.of_this_model(), session.choice())
    assert set(marks.dimmed) == {"bad-01", "slow-01"} and marks.recommended == "small-01"
    set_budget(panel, "max_bytes", 20.0)
    assert session.budgets["max_bytes"] == 20_000 and "nothing fits" in panel.verdict.text.value
    panel.budgets.free.click()
    panel.pump.drain()
    assert set(session.budgets.values()) == {None} and panel.budgets.rows["max_drop"].free.value


def test_budgets_set_elsewhere_are_shown_and_keep_their_digits(session: Session, panel: TradeOff) -> None:
    session.budgets = {**session.budgets, "max_bytes": 123_456, "min_accuracy": 0.875, "max_latency_ms": 40.0}
    panel.pump.drain()
    rows = panel.budgets.rows
    assert rows["max_bytes"].slider.value == pytest.approx(123.456) and not rows["max_bytes"].free.value
    assert rows["min_accuracy"].slider.value == 87.5 and panel.budgets.more.value
    assert rows["max_latency_ms"].slider.value == pytest.approx(40.0), "beyond the data's range"
    panel.pump.drain()
    assert session.budgets["max_bytes"] == 123_456, "what was only shown isn't rounded back into the session"


def test_a_slider_that_moves_on_is_not_pulled_back(session: Session, panel: TradeOff) -> None:
    row = panel.budgets.rows["max_drop"]
    row.free.value, row.slider.value = False, 3.0
    panel.budgets.rows["max_drop"].read()
    row.slider.value = 4.0  # before the session's answer to 3.0 was heard
    panel.pump.drain()
    assert row.slider.value == 4.0 and session.budgets["max_drop"] == 4.0


def test_sliders_span_what_was_measured(panel: TradeOff) -> None:
    slider = panel.budgets.rows["max_latency_ms"].slider
    assert 10**slider.min == pytest.approx(0.01, rel=0.03) and 10**slider.max == pytest.approx(0.9, rel=0.03)


def test_a_click_picks_b_and_a_box_selects(session: Session, panel: TradeOff) -> None:
    for handler in panel.stage.charts["Points"]._handlers["click"]:
        handler("small-01"), handler("estimate:0")
    panel.pump.drain()
    assert session.b == "small-01" and panel.picture.marks([], None).a == "parent-01"
    for handler in panel.stage.charts["Points"]._handlers["select"]:
        handler(["bad-01", "estimate:0", {"x": 1, "y": 2}, "slow-01"])
    panel.pump.drain()
    assert session.selected == ("bad-01", "slow-01")


def test_reasons_against_each_other_run_can_be_searched(panel: TradeOff) -> None:
    set_budget(panel, "max_drop", 3.0)
    assert panel.verdict.against.value == "", "not written while it is closed"
    panel.verdict.open.value = True
    panel.pump.drain()
    assert all(name in panel.verdict.against.value for name in ("parent-01", "bad-01", "slow-01"))
    panel.verdict.search.value = "loses points"
    panel.pump.drain()
    assert "bad-01" in panel.verdict.against.value and "slow-01" not in panel.verdict.against.value
    panel.verdict.search.value = "zebra"
    panel.pump.drain()
    assert "No run matches" in panel.verdict.against.value


def test_what_fits_but_is_not_shown_is_counted_apart(session: Session, panel: TradeOff) -> None:
    set_budget(panel, "max_drop", 0.1)  # 400 examples can't show a tenth of a point
    assert (
        "1 of 4 fit; 2 more fit as measured" in panel.verdict.text.value and "? not shown" in panel.verdict.text.value
    )
    assert set(panel.picture.marks(session.of_this_model(), session.choice()).dimmed) == {"bad-01"}


def test_the_baseline_line_has_n_interval_bytes_and_conditions(panel: TradeOff) -> None:
    for told in ("148 of 149 on validation", "500 kB", "p50 0.1 ms, p95 0.13 ms at batch 1, threads 1, alone"):
        assert told in panel.baseline.value


def test_axes_offer_what_was_measured_and_a_quantity_nobody_has_is_replaced(session: Session, panel: TradeOff) -> None:
    labels = dict(panel.axes.x.options)
    assert (
        labels["size of the files needed to predict (bytes)"] == "artifact_bytes"
        and "perplexity" not in labels.values()
    )
    panel.axes.x.value = "latency_ms_p50"
    panel.pump.drain()
    assert session.x == "latency_ms_p50" and points(panel)["slow-01"][0] == 0.9
    session.y = "perplexity"
    panel.pump.drain()
    assert session.y in labels.values() and panel.axes.y.value == session.y != session.x


def test_test_figures_come_with_the_word_that_choosing_reads_validation(session: Session, panel: TradeOff) -> None:
    panel.axes.split.value = "test"
    panel.pump.drain()
    assert session.split == "test" and "Choosing reads validation" in panel.left_out.value
    assert (
        "on test" in panel.baseline.value and "accuracy" not in panel.picture.data(session.of_this_model(), None).limits
    )


def test_all_quantities_are_one_line_per_run(session: Session, panel: TradeOff) -> None:
    panel.axes.kind.value = "All quantities"
    panel.pump.drain()
    names = {name for trace in panel._figure().data for name in trace.customdata if name}
    assert names == {"parent-01", "small-01", "bad-01", "slow-01"}


def test_an_empty_store_says_what_to_do(tmp_path: Path) -> None:
    panel = TradeOff(Session(tmp_path), Pump())
    panel.pump.drain()
    assert "press Run" in panel.stage.words.value and "press Run" in panel.verdict.text.value
    assert "not measured yet" in panel.baseline.value


def test_a_hidden_panel_draws_when_it_is_shown_again(session: Session, panel: TradeOff) -> None:
    panel.on_hidden()
    before = panel.stage.charts["Points"].figure
    session.budgets = {**session.budgets, "max_bytes": 95_000}
    panel.pump.drain()
    assert panel.stage.charts["Points"].figure == before and "4 of 4" in panel.verdict.text.value
    panel.on_shown()
    panel.pump.drain()
    assert panel.stage.charts["Points"].figure != before and "2 of 4 fit" in panel.verdict.text.value


def test_an_update_that_changes_nothing_sends_nothing(panel: TradeOff) -> None:
    sent: list[Any] = []
    texts = (panel.baseline, panel.expected, panel.left_out, panel.verdict.text, panel.verdict.against, panel.axes.x)
    for widget in (
        panel.stage.charts["Points"],
        panel.stage.view,
        *texts,
        *(row.slider for row in panel.budgets.rows.values()),
    ):
        widget.observe(sent.append)
    for what in ("runs", "choice", "chart"):
        panel.update(what)
        panel.pump.drain()
    assert sent == []


def test_a_choice_that_cannot_be_made_says_why_and_can_be_made_later(
    session: Session, panel: TradeOff, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise WorkbenchError("the disk <is> gone")

    monkeypatch.setattr("widgets.session.choose", broken)
    set_budget(panel, "max_drop", 2.0)
    assert 'role="alert"' in panel.verdict.text.value and "&lt;is&gt;" in panel.verdict.text.value
    monkeypatch.setattr("widgets.session.choose", choose)
    set_budget(panel, "max_drop", 3.0)
    assert "fit" in panel.verdict.text.value and 'role="alert"' not in panel.verdict.text.value


def test_headless_there_is_a_figure_and_the_whole_verdict(panel: TradeOff) -> None:
    figure, said = panel.static()
    assert figure.layout.meta["alt"] and json.loads(figure.to_json())["data"]
    assert "4 of 4 fit" in said.data and "bad-01" in said.data and "Baseline" in said.data
