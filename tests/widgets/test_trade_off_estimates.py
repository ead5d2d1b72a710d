"""The picked recipe among measured points: hollow, moving with the knobs, held against its measurement."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.widgets.trade_offs import points, session_of_four
from widgets import _trade_off_chart, _trade_off_facts
from widgets.pump import Pump
from widgets.session import Session
from widgets.trade_off import TradeOff


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return session_of_four(tmp_path)


@pytest.fixture
def panel(session: Session) -> TradeOff:
    panel = TradeOff(session, Pump())
    panel.pump.drain()
    return panel


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


def test_estimates_of_past_jobs_are_held_against_their_measurements(session: Session, panel: TradeOff) -> None:
    panel.axes.kind.value = "Estimates checked"
    panel.pump.drain()
    alt = panel.stage.charts["Estimates checked"].alt
    assert "size: " in alt and "inside the band" in alt and len(panel.stage.view.children) == 1
    assert panel.checked.unknown(session.of_this_model()) == [], "made once"


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
