"""Layers over strengths: measured through the queue, drawn when done, and a click changes the recipe by one step."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import small_job
from tests.widgets.pairs import TRAIN, session_of
from widgets import sensitivity as panel_module
from widgets._set_levels import SetLevels, fitting
from widgets.sensitivity import Sensitivity
from widgets.session import Session
from workbench import diagnose
from workbench.bench import carry_out
from workbench.errors import InvalidInput
from workbench.job import Job
from workbench.nouns import Run
from workbench.queue import Entry
from workbench.store import Store

LEVELS = [0.5, 0.95]
STEP = {"use": "magnitude_prune"}
PRUNE = {"use": "magnitude_prune", "sparsity": 0.5}
LAYERS = ["fc1", "fc2", "fc3"]


@pytest.fixture
def measured(shared_store: Store) -> Run:
    return carry_out(diagnose.sensitivity_job(small_job(steps=[TRAIN]), STEP, "sparsity", LEVELS), shared_store)


def shown(store: Store, **picked: Any) -> Sensitivity:
    session, pump = session_of(store, **picked)
    panel = Sensitivity(session, pump)
    panel.on_shown()
    pump.drain()
    return panel


def click(panel: Sensitivity, layer: str, level: float) -> None:
    cell = {"layer": layer, "level": level, "step": "magnitude_prune", "parameter": "sparsity"}
    panel.chart._hear(None, {"kind": "click", "values": [cell]}, None)
    panel.pump.drain()


def prunes(session: Session) -> list[tuple[float, list[str]]]:
    return [(step["sparsity"], step["skip"]) for step in session.steps if step["use"] == "magnitude_prune"]


def test_a_finished_measurement_is_drawn_with_a_frame_above_the_budget(shared_store: Store, measured: Run) -> None:
    panel = shown(shared_store, steps=[TRAIN, PRUNE])
    assert panel.data.run_id == measured.run_id and list(panel.data.layers) == LAYERS
    assert "Measured earlier" in panel.which.value  # the form's levels are others
    panel.form._chosen("levels", LEVELS)
    panel.pump.drain()
    assert "Measured in" in panel.which.value
    before, framed = panel.chart.figure, sum(cell.over_budget for cell in panel.data.cells)
    panel.budget.value = 20.0
    panel.pump.drain()
    assert panel.chart.figure != before
    assert 0 < sum(cell.over_budget for cell in panel.data.cells) == sum(c.drop > 20 for c in panel.data.cells) < framed


def test_a_click_sets_a_layer_and_undo_takes_it_back(shared_store: Store, measured: Run) -> None:
    panel = shown(shared_store, steps=[TRAIN, PRUNE])
    before = panel.session.steps
    click(panel, "fc2", 0.95)
    assert prunes(panel.session) == [(0.5, ["fc2"]), (0.95, ["fc1", "fc3"])]
    assert "fc2 is now at sparsity 0.95" in panel.done.value and "0.95" in panel.now.value
    panel.controls.undo.click()
    panel.pump.drain()
    assert panel.session.steps == before and panel.controls.undo.disabled
    assert "as it was before" in panel.done.value


def test_keeping_a_layer_leaves_it_out_of_the_step(shared_store: Store, measured: Run) -> None:
    panel = shown(shared_store, steps=[TRAIN, PRUNE])
    panel.controls.layer.value = "fc3"
    panel.controls.keep.click()
    panel.pump.drain()
    assert prunes(panel.session) == [(0.5, ["fc3"])]
    assert "fc3 is now kept as it is by magnitude prune" in panel.done.value and "as it is" in panel.now.value


def test_a_strength_can_be_set_without_a_mouse(shared_store: Store, measured: Run) -> None:
    panel = shown(shared_store, steps=[TRAIN])
    assert "no magnitude prune yet" in panel.now.value
    panel.controls.layer.value, panel.controls.column.value = "fc1", panel.data.columns[0].label
    panel.controls.set.click()
    panel.pump.drain()
    assert prunes(panel.session) == [(0.5, ["fc2", "fc3"])]


def test_a_change_made_elsewhere_is_not_undone(shared_store: Store, measured: Run) -> None:
    panel = shown(shared_store, steps=[TRAIN, PRUNE])
    click(panel, "fc2", 0.95)
    panel.session.steps = [*panel.session.steps, TRAIN]
    panel.pump.drain()
    assert panel.controls.undo.disabled
    assert "nothing was taken back" in SetLevels(panel.session).undo()


def test_compute_puts_the_job_into_the_queue_and_tells_how_far_it_is(
    shared_store: Store, measured: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Job] = []
    monkeypatch.setattr(panel_module.queue, "put", lambda job, store: asked.append(job))
    monkeypatch.setattr(Session, "refresh", lambda self: None)
    panel = shown(shared_store, steps=[TRAIN, PRUNE])
    panel.compute.click()
    panel.pump.drain()
    (job,) = asked
    assert (
        job.job_id
        == diagnose.sensitivity_job(panel.session.job(), STEP, "sparsity", [0.3, 0.5, 0.7, 0.8, 0.9, 0.95]).job_id
    )
    panel.session.queue = (Entry("e1", job.job_id, job.to_json(), "running", done=3, total=18, unit="cells"),)
    panel.pump.drain()
    assert "running, 3 of 18 cells" in panel.told.value and panel.compute.disabled
    error = {"kind": "raised", "message": "no <room>"}
    panel.session.queue = (Entry("e1", job.job_id, job.to_json(), "failed", error=error),)
    panel.pump.drain()
    assert "no &lt;room&gt;" in panel.told.value and not panel.compute.disabled


def test_a_refused_job_says_why(shared_store: Store, measured: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: Any) -> None:
        raise InvalidInput(["the disk is full"])

    monkeypatch.setattr(panel_module.queue, "put", refuses)
    panel = shown(shared_store, steps=[TRAIN])
    panel.compute.click()
    panel.pump.drain()
    assert "the disk is full" in panel.told.value and not panel.compute.disabled


def test_an_empty_store_says_what_to_do(store: Store) -> None:
    panel = shown(store)
    assert "Nothing was measured yet" in panel.which.value and panel.result.layout.display == "none"
    assert len(panel.static()) == 1


def test_another_kind_of_step_gets_a_strength_that_it_has(store: Store) -> None:
    panel = shown(store)
    panel.form._chosen("step", {"use": "channel_prune"})
    panel.pump.drain()
    assert panel.form.value["parameter"] == "ratio" and panel.form.problems == []
    assert fitting("int8_static", "sparsity", [0.5]) == ("", [])
    panel.form._chosen("step", {"use": "int8_static"})
    panel.pump.drain()
    assert panel.form.value["levels"] == [] and panel.form.problems == []


def test_a_step_without_skip_says_so_beside_the_control_and_cannot_be_computed(store: Store) -> None:
    panel = shown(store)
    panel.form._chosen("step", {"use": "train"})
    panel.pump.drain()
    assert panel.compute.disabled


def test_an_update_that_changes_nothing_sends_nothing(shared_store: Store, measured: Run) -> None:
    panel = shown(shared_store, steps=[TRAIN, PRUNE])
    sent: list[object] = []
    for widget in (panel.told, panel.which, panel.done, panel.now, panel.chart, panel.controls.layer):
        widget.observe(sent.append)
    panel.update()
    panel.pump.drain()
    assert sent == []


def test_the_static_form_holds_the_heat_map(shared_store: Store, measured: Run) -> None:
    session, pump = session_of(shared_store, steps=[TRAIN, PRUNE])
    head, figure = Sensitivity(session, pump).static()
    assert "Sensitivity" in head.data and figure.data[0].type == "heatmap"
