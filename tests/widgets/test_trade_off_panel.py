"""Budgets, recommendation and chart, driven without a browser."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.charts.crafted_runs import crafted_run, with_predictions
from widgets import _trade_off_chart, _trade_off_facts
from widgets.pump import Pump
from widgets.session import Session
from widgets.trade_off import TradeOff
from workbench.compare import choose
from workbench.errors import WorkbenchError
from workbench.nouns import Run

TARGETS = np.arange(400) % 10
NUM_WRONG = {"parent-01": 4, "small-01": 4, "bad-01": 80, "slow-01": 4}


def made(folder: Path, run_id: str, **values: Any) -> Run:
    """Return a run whose validation answers are wrong NUM_WRONG times of 400."""
    wrong = NUM_WRONG[run_id]
    answers = np.where(np.arange(400) < wrong, (TARGETS + 1) % 10, TARGETS)
    kept = with_predictions(folder / run_id, answers, TARGETS)
    parent = None if run_id == "parent-01" else "parent-01"
    return crafted_run(run_id, accuracy=1 - wrong / 400, folder=kept, parent=parent, **values)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Four runs: the parent, a good small one, a bad tiny one, a slow one; the picked recipe is none of them."""
    pruned = ({"use": "train"}, {"use": "channel_prune", "ratio": 0.5})
    session = Session(tmp_path / "runs", steps=[{"use": "train"}, {"use": "channel_prune", "ratio": 0.25}])
    runs = [
        made(tmp_path, "parent-01", size=500_000, p50=0.10),
        made(tmp_path, "small-01", size=100_000, p50=0.05, steps=pruned),
        made(tmp_path, "bad-01", size=20_000, p50=0.01, steps=pruned),
        made(tmp_path, "slow-01", size=90_000, p50=0.90, steps=pruned),
    ]
    session.runs = tuple(replace(run, job={**run.job, "data": session.data}) for run in runs)
    session.shelf.by_id = {run.run_id: run for run in session.runs}
    return session


@pytest.fixture
def panel(session: Session) -> TradeOff:
    panel = TradeOff(session, Pump())
    panel.pump.drain()
    return panel


def points(panel: TradeOff) -> dict[str, tuple[float, float]]:
    """Return the drawn points by their customdata; what a browser gets."""
    figure = panel._figure()
    return {
        name: (float(x), float(y))
        for trace in figure.data
        if trace.customdata is not None
        for name, x, y in zip(trace.customdata, trace.x, trace.y)
    }


def set_budget(panel: TradeOff, name: str, value: float) -> None:
    row = panel.budgets.rows[name]
    row.free.value, row.slider.value = False, value
    panel.pump.drain()


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


def test_the_picked_recipe_is_a_hollow_point_at_the_accuracy_of_its_parent(session: Session, panel: TradeOff) -> None:
    size, accuracy = points(panel)["estimate:0"]
    assert 200_000 < size < 500_000 and accuracy == 148 / 149
    estimate, _ = _trade_off_chart.picked_estimate(session)
    assert estimate is not None
    point = _trade_off_chart.picked_point(session, estimate, session.run_of("parent-01"), None)
    assert point is not None and point.unknown == ("y",) and point.x_interval and point.x_interval[0] < size
    assert "accuracy isn" in panel.expected.value and "estimated size" in panel.expected.value


def test_a_knob_moves_the_estimate_and_measures_nothing_again(
    session: Session, panel: TradeOff, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = points(panel)["estimate:0"][0]
    monkeypatch.setattr(_trade_off_chart, "pareto_data", lambda *_, **__: pytest.fail("placed again"))
    session.steps = [{"use": "train"}, {"use": "channel_prune", "ratio": 0.75}]
    panel.pump.drain()
    assert points(panel)["estimate:0"][0] < before / 2


def test_once_measured_the_error_of_the_prediction_is_said_and_drawn(session: Session, panel: TradeOff) -> None:
    job = session.job()
    run = replace(session.runs[1], run_id=f"{job.job_id}-01", job_id=job.job_id, job=job.to_json())
    session.shelf.by_id[run.run_id] = run
    session.runs = (*session.runs, run)
    panel.pump.drain()
    assert f"measured as {run.run_id}" in panel.expected.value and "below the band" in panel.expected.value
    joined = next(trace for trace in panel._figure().data if trace.name == "estimate → measured")
    assert len([x for x in joined.x if np.isfinite(x)]) == 2


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


def test_estimates_of_past_jobs_are_held_against_their_measurements(session: Session, panel: TradeOff) -> None:
    panel.axes.kind.value = "Estimates checked"
    panel.pump.drain()
    alt = panel.stage.charts["Estimates checked"].alt
    assert "size: " in alt and "inside the band" in alt and len(panel.stage.view.children) == 1
    assert panel.checked.unknown(session.of_this_model()) == [], "made once"


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


def test_an_illegal_recipe_has_no_estimate_and_says_the_first_reason(session: Session, panel: TradeOff) -> None:
    session.steps = [{"use": "train", "epochs": -1}]
    panel.pump.drain()
    assert "no estimate" in panel.expected.value and "epochs" in panel.expected.value
    assert "estimate:0" not in points(panel)


def test_a_latency_taken_otherwise_is_not_held_against_the_estimate(session: Session) -> None:
    estimate, _ = _trade_off_chart.picked_estimate(session)
    assert estimate is not None
    cost = replace(estimate.cost, latency_ms_low=0.01, latency_ms_high=0.2)
    run = session.runs[1]
    said = "; ".join(_trade_off_facts.prediction_errors(replace(estimate, cost=cost), run))
    assert "latency: estimated 0.01 ms to 0.2 ms, measured 0.05 ms, within the band" in said
    batched = tuple(replace(m, conditions={**m.conditions, "batch": 32}) for m in run.measurements)
    said = "; ".join(
        _trade_off_facts.prediction_errors(replace(estimate, cost=cost), replace(run, measurements=batched))
    )
    assert "latency" not in said and "size" in said


def test_a_knob_moves_the_estimate_at_once_and_the_figure_follows_when_it_rests(
    session: Session, panel: TradeOff
) -> None:
    chart = panel.stage.charts["Points"]
    before, place = chart.figure, points(panel)["estimate:0"]
    session.steps = [{"use": "train"}, {"use": "channel_prune", "ratio": 0.75}]
    panel._recipe_changed()
    (moved,) = chart.moved
    assert chart.figure == before and moved["x"][0] < place[0] and moved["customdata"] == ["estimate:0"]
    panel.pump.drain()
    assert chart.figure != before and chart.moved == [] and points(panel)["estimate:0"][0] == moved["x"][0]
