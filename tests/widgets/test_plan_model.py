"""A model past this machine is planned from a panel: what fits is lit, one layout explained and checked, hardware refused with reasons."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.widgets.looking_at import find, shown
from widgets.plan_model import PlanModel
from widgets.pump import Pump
from widgets.session import Session
from workbench.plan import check
from workbench.plan.check import Checked
from workbench.plan.training import Layout, Wanted


@pytest.fixture
def panel(tmp_path: Path) -> PlanModel:
    made = PlanModel(Session(tmp_path), Pump())
    made.on_shown()
    made.pump.drain()
    return made


def rows(table: Any) -> dict[str, list[Any]]:
    told = json.loads(zlib.decompress(table.view.packed))
    return {column["name"]: cells for column, cells in zip(told["columns"], told["cells"])}


def test_every_layout_is_listed_and_the_fastest_that_fits_is_explained(panel: PlanModel) -> None:
    question = panel.questions["Train"]
    assert "70.55 billion parameters" in panel.told.value and "not measured" in panel.told.value
    listed = rows(question.table)
    assert [cell[1] for cell in listed["fits"]] == ["✓ fits" if each.fits else "✗ no" for each in question.planned]
    assert any("GB too much" in limit for limit in listed["limit"])
    assert "✓ fits" in question.why.value and "to spare. Limited by" in question.why.value
    assert "workbench plan llama-3-70b --devices 64 --device h100" in question.command.value
    assert json.loads(question.memory.figure)["data"][0]["name"] == "parameters"
    question.table.view.selected = [str(len(question.planned) - 1)]
    panel.pump.drain()
    assert question.chosen == len(question.planned) - 1 and "✗ does not fit" in question.why.value


def test_a_change_is_planned_anew_and_what_is_wrong_is_told_in_words(panel: PlanModel) -> None:
    question = panel.questions["Train"]
    panel.number.value = 8
    panel.device.value = "t4"
    panel.pump.drain()
    assert "None of" in question.told.value and "more devices" in question.told.value
    panel.device.value = "gaudi3"
    find(question.form, "precision", __import__("ipywidgets").ToggleButtons).value = "float32"
    panel.pump.drain()
    assert "no figure is known" in question.command.value and question.found not in shown(question.view)
    panel.model.value = "llama-3-7b"
    panel.pump.drain()
    assert "did you mean llama-3" in panel.told.value and panel.shown not in shown(panel.view)


def test_the_chosen_layout_is_checked_beside_the_plan_and_can_be_cancelled(
    panel: PlanModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    class Stand:
        def __init__(self, source: str, wanted: Wanted, layout: Layout) -> None:
            asked.append((source, wanted, layout))

        def follow(self, say: Any) -> Checked:
            say("forward")
            return Checked(
                asked[-1][2],
                0,
                {"parameters": 1e9, "activations": 1e9},
                {"parameters": 1e9, "temporary": 2e9},
                60.0,
                4e8,
            )

        def stop(self) -> None:
            asked.append("stopped")

    monkeypatch.setattr(check, "Check", Stand)
    question = panel.questions["Train"]
    question.check.begin.click()
    panel.pump.drain()
    assert asked[0][0] == "llama-3-70b" and asked[0][2] == question.planned[0].layout and asked[0][1].batch == 512
    told = question.check.told.value
    assert "3 GB" in told and "+50.0%" in told and "60 s of one core" in told
    assert json.loads(question.memory.figure)["data"][0]["y"] == ["planned", "simulated"]
    assert not question.check.begin.disabled and question.check.end.disabled
    question.choose(1)
    assert not question.check.told.value, "another layout wasn't checked"
    question.check.begin.click()
    monkeypatch.setattr(panel.pump, "later", lambda work, then: None)  # it goes on
    panel.pump.drain()
    assert question.check.begin.disabled
    question.check.end.click()
    panel.pump.drain()
    assert asked[-1] == "stopped" and question.check.end.disabled


def test_how_far_plans_were_off_here_is_shown(panel: PlanModel) -> None:
    assert "No plan has been held against" in panel.questions["Train"].check.calibrated.value


def test_serving_lists_each_precision_and_the_command(panel: PlanModel) -> None:
    panel.asked.value = "Serve"
    panel.pump.drain()
    question = panel.questions["Serve"]
    assert set(rows(question.table)["weights"]) == {"float32", "bfloat16", "int8", "int4"}
    assert "ways fit" in question.told.value and "plan llama-3-70b --serve --devices 64" in question.command.value


def test_hardware_has_reasons_and_a_roofline_of_the_chosen_device(panel: PlanModel) -> None:
    panel.asked.value = "Choose hardware"
    panel.pump.drain()
    assert panel.device not in shown(panel.view)
    question = panel.questions["Choose hardware"]
    listed = rows(question.table)
    assert any("qubits" in (why or "") for why in listed["why"]) and all(listed["source"])
    assert "memory limits attention over the cache" in question.under.value
    before = question.roofline.figure
    question.table.view.selected = ["a100"]
    panel.pump.drain()
    assert question.roofline.figure != before and "A100" in question.under.value
    question.table.view.selected = ["quantum"]
    panel.pump.drain()
    assert "qubits" in question.under.value and question.roofline not in shown(question.view)


def test_nobody_touches_it_and_the_headline_is_there(panel: PlanModel) -> None:
    (told,) = panel.static()
    assert "legal layouts" in told.data and "The same as a command" in told.data
