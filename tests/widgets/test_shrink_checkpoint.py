"""A checkpoint is shrunk from a panel: sizes before, what is wrong, a process of its own with progress, the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.widgets.looking_at import shown
from widgets.pump import Pump
from widgets.session import Session
from widgets.shrink_checkpoint import ShrinkCheckpoint
from workbench.errors import Cancelled, RunFailed
from workbench.shrink import process
from workbench.shrink import synthetic as made
from workbench.telling import Telling


@pytest.fixture
def panel(tmp_path: Path) -> ShrinkCheckpoint:
    made.llama(tmp_path / "in", layers=2, width=256, vocabulary=256)
    return ShrinkCheckpoint(Session(tmp_path / "runs"), Pump())


def fill(panel: ShrinkCheckpoint, **values: Any) -> None:
    for name, value in values.items():
        getattr(panel, name).value = str(value)
    panel.pump.drain()


def test_sizes_are_told_before_anything_runs_and_what_is_wrong_in_words(
    panel: ShrinkCheckpoint, tmp_path: Path
) -> None:
    assert "only its headers are read" in panel.before.value and panel.start.disabled
    fill(panel, source=tmp_path / "nowhere")
    assert "no folder" in panel.before.value and panel.start.disabled
    fill(panel, source=tmp_path / "in")
    assert "14 of 21 tensors change" in panel.before.value and "Still to be given: a destination" in panel.before.value
    fill(panel, destination=tmp_path / "out")
    assert not panel.start.disabled and "--step weight_only" in panel.command.value
    panel.steps._edit(panel.steps.rows[0], {**panel.steps.records[0], "method": "gptq"})
    panel.pump.drain()
    assert (
        panel.calibration in shown(panel.view)
        and "a text to calibrate on" in panel.before.value
        and panel.start.disabled
    )
    panel.steps._edit(panel.steps.rows[0], {**panel.steps.records[0], "method": "hqq"})
    panel.pump.drain()
    assert "method=hqq" in panel.before.value
    assert not (tmp_path / "out").exists()


def test_only_steps_that_can_work_on_a_checkpoint_are_offered(panel: ShrinkCheckpoint) -> None:
    marked = {name: text for text, name in panel.steps.add.menu.options}
    assert marked["distill"].startswith("✗") and not marked["n_m_prune"].startswith("✗")
    panel.steps.add.menu.value = "n_m_prune"
    panel.steps.add.button.click()
    panel.pump.drain()
    assert [record["use"] for record in panel.steps.records] == ["weight_only", "n_m_prune"]
    panel.steps._act(panel.steps.rows[1], "up")
    assert [record["use"] for record in panel.steps.records] == ["n_m_prune", "weight_only"]
    panel.steps._act(panel.steps.rows[0], "remove")
    assert [record["use"] for record in panel.steps.records] == ["weight_only"]


def test_a_real_process_shrinks_and_reports_and_the_result_is_that_of_the_command(
    panel: ShrinkCheckpoint, tmp_path: Path
) -> None:
    fill(panel, source=tmp_path / "in", destination=tmp_path / "out")
    panel.start.click()
    panel.pump.drain()
    record = json.loads((tmp_path / "out" / "shrink.json").read_text())
    assert (
        record["finished"]
        and f"in {tmp_path / 'out'}" in panel.report.value
        and "Moved most, of 14" in panel.report.value
    )
    assert panel.errors in shown(panel.view) and len(json.loads(panel.errors.figure)["data"]) == 7
    assert panel.bar.value == 1.0 and panel.cancel.disabled


def test_a_cancelled_one_says_how_to_go_on(
    panel: ShrinkCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stand:
        def __init__(self, *_: Any, **__: Any) -> None:
            self.stopped = False

        def follow(self, say: Any) -> dict[str, Any]:
            say({"done": 5, "total": 10, "eta_seconds": 3.0, "layer": "model.layers.0"})
            panel.pump.drain()
            seen.append((panel.bar.value, panel.told.value, panel.cancel.disabled))
            panel._cancel()
            assert self.stopped
            raise Cancelled("it was cancelled")

        def stop(self) -> None:
            self.stopped = True

    seen: list[Any] = []
    monkeypatch.setattr(process, "Shrinking", Stand)
    fill(panel, source=tmp_path / "in", destination=tmp_path / "out")
    panel.start.click()
    panel.pump.drain()
    assert seen[0][0] == 0.5 and "3 s left: model.layers.0" in seen[0][1] and not seen[0][2]
    assert "cancelled" in panel.told.value and "go on where" in panel.told.value and not panel.start.disabled


def test_a_process_that_dies_is_told_with_its_last_words() -> None:
    with pytest.raises(RunFailed, match=r"exit code 1: .*No module named"):
        Telling("workbench.nowhere", {}).follow()
