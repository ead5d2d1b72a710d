"""What is seen can be taken away as text that says the same job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.conftest import small_job
from widgets import static_view
from widgets.pump import Pump
from widgets.session import Session
from widgets.take_away import KINDS, WHAT, TakeAway
from workbench.bench import carry_out
from workbench.job import Job
from workbench.store import Store
from workbench.study import check_study, expand


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("take") / "runs")
    steps = [{"use": "train", "epochs": 1}, {"use": "magnitude_prune", "sparsity": 0.5}]
    carry_out(small_job(steps=steps, metrics=[{"use": "size"}, {"use": "quality"}]), made)
    return made


@pytest.fixture
def panel(store: Store) -> TakeAway:
    session = Session(store.root, model="lenet_300_100")
    session.refresh()
    made = TakeAway(session, Pump())
    made.on_shown()
    return made


def take(panel: TakeAway, kind: str) -> str:
    panel.kind.value = kind
    panel.pump.drain()
    return panel.text.value


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_something(panel: TakeAway, kind: str) -> None:
    assert len(take(panel, kind)) > 40 and not panel.told.value


def test_the_job_and_the_study_give_the_picked_job_back(panel: TakeAway) -> None:
    wanted = panel.session.job().job_id
    assert Job.from_json(json.loads(take(panel, "Job (JSON)"))).job_id == wanted
    assert wanted in {job.job_id for job in expand(check_study(yaml.safe_load(take(panel, "Study (YAML)"))))}


def test_the_session_comes_back_from_its_text(panel: TakeAway) -> None:
    assert Session.from_json(json.loads(take(panel, "Session (JSON)"))).to_json() == panel.session.to_json()


def test_the_text_follows_the_recipe_while_it_is_seen(panel: TakeAway) -> None:
    before = take(panel, "Python cell")
    panel.session.seed = 7
    panel.pump.drain()
    assert panel.text.value != before and "7" in panel.text.value
    panel.on_hidden()
    seen = panel.text.value
    panel.session.seed = 8
    panel.pump.drain()
    assert panel.text.value == seen


def test_brushed_runs_are_copied_and_no_brushed_run_is_said(panel: TakeAway) -> None:
    take(panel, "Python cell")
    panel.what.value = WHAT[1]
    panel.pump.drain()
    assert panel.text.value == "" and "no run is brushed" in panel.told.value
    panel.session.selected = tuple(run.run_id for run in panel.session.runs)
    panel.pump.drain()
    assert "magnitude_prune" in panel.text.value


def test_it_is_saved_and_a_place_that_cannot_be_written_is_told(panel: TakeAway, tmp_path: Path) -> None:
    text = take(panel, "Python cell")
    panel.file.value = str(tmp_path / "cell.py")
    panel.save.click()
    panel.pump.drain()
    assert (tmp_path / "cell.py").read_text() == text
    told: list[Exception] = []
    panel.pump.on_error = told.append
    panel.file.value = str(tmp_path / "nowhere" / "memo.md")
    panel.save.click()
    panel.pump.drain()
    assert "can't be written" in str(told[0])


def test_a_saved_memo_has_its_figures_beside_it_and_names_their_runs(panel: TakeAway, tmp_path: Path) -> None:
    if reason := static_view.why_not_drawn():
        pytest.skip(reason)
    panel.session.pick_something()
    take(panel, "Decision memo")
    panel.file.value = str(tmp_path / "memo.md")
    panel.save.click()
    panel.pump.drain()
    text = (tmp_path / "memo.md").read_text()
    pictures = sorted(path.name for path in tmp_path.glob("memo-*.png"))
    assert pictures == ["memo-bytes.png", "memo-trade-off.png"] and all(name in text for name in pictures)
    after = text[text.index("memo-trade-off.png") :]
    assert panel.session.runs[0].run_id in after


def test_without_a_browser_the_memo_is_saved_and_says_what_is_missing(
    panel: TakeAway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static_view, "why_not_drawn", lambda: "no Chromium was found")
    text = take(panel, "Decision memo")
    panel.file.value = str(tmp_path / "memo.md")
    panel.save.click()
    panel.pump.drain()
    assert (tmp_path / "memo.md").read_text() == text and "no Chromium was found" in panel.told.value
