"""The session is the one state: JSON and back, the disk read by looking, nothing of it a widget."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import small_job
from widgets import _kept_session
from widgets.pump import Pump
from widgets.session import Session
from workbench.bench import carry_out
from workbench.errors import InvalidInput
from workbench.job import Job
from workbench.marks import mark
from workbench.store import Store

SMALL = {"model": {"use": "lenet_300_100", "hidden_1": 16, "hidden_2": 8}, "steps": [{"use": "train", "epochs": 1}]}


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with a trained model and one with zeros."""
    store = Store(tmp_path_factory.mktemp("two") / "runs")
    metrics = [{"use": "size"}, {"use": "quality"}]
    zeros = [{"use": "train", "epochs": 1}, {"use": "magnitude_prune", "sparsity": 0.5}]
    carry_out(small_job(steps=zeros, metrics=metrics), store)
    return store


def test_a_session_fills_in_every_default_of_its_job(tmp_path: Path) -> None:
    session = Session(tmp_path, **SMALL)
    assert session.job().job_id == Job.from_json({**SMALL, "data": "digits"}).job_id
    assert session.problems() == []


def test_to_json_and_back_is_the_same_session(tmp_path: Path) -> None:
    session = Session(tmp_path, **SMALL, seed=3)
    session.budgets = {**session.budgets, "max_drop": 1.0}
    session.selected, session.where, session.split = ("x-01",), "accuracy > 0.5", "test"
    record = json.loads(json.dumps(session.to_json()))
    assert Session.from_json(record).to_json() == session.to_json()


def test_a_bad_record_lists_every_problem_and_changes_nothing(tmp_path: Path) -> None:
    session = Session(tmp_path, **SMALL)
    before = session.to_json()
    bad = {"splitt": "test", "split": "calibration", "steps": [{"use": "trian"}], "budgets": {"max_drop": -1}}
    with pytest.raises(InvalidInput) as caught:
        session.take(bad)
    text = str(caught.value)
    assert "did you mean 'split'" in text and "did you mean 'train'" in text
    assert "calibration" in text
    assert session.to_json() == before


def test_reasons_against_the_job_are_words(tmp_path: Path) -> None:
    session = Session(tmp_path, **SMALL)
    session.steps = [*session.steps, {"use": "bfloat16"}]
    assert any("bfloat16" in reason for reason in session.problems())
    session.steps = [{"use": "train", "epochs": -1}]
    assert any("epochs" in reason for reason in session.problems())


def test_the_card_is_there_at_once_where_no_worker_is_needed(tmp_path: Path) -> None:
    session = Session(tmp_path, **SMALL)
    assert session.card is not None and session.card.num_params > 0
    few = session.card.num_params
    session.model = {**session.model, "hidden_1": 32}
    assert session.card.num_params > few


def test_looking_reads_new_runs_once_and_notices_deleted_ones(two_runs: Store) -> None:
    session = Session(two_runs.root, **SMALL)
    session.refresh()
    runs = session.runs
    assert len(runs) == 2
    time.sleep(1.1)  # past the time in which a folder is looked at twice
    session.refresh()
    assert session.runs is runs, "nothing changed, so nothing is replaced"
    carry_out(small_job(), two_runs)
    session.refresh()
    assert len(session.runs) == 3 and session.runs[0] is runs[0]
    two_runs.delete(session.runs[-1].run_id)
    session.refresh()
    assert len(session.runs) == 2


def test_what_is_compared_is_the_parent_unless_said_otherwise(two_runs: Store) -> None:
    session = Session(two_runs.root, **SMALL)
    session.refresh()
    child = next(run for run in session.runs if run.parent)
    session.b = child.run_id
    assert [run.run_id for run in session.compared()] == [child.parent, child.run_id]
    session.a = child.run_id
    assert session.compared() is None, "a run isn't compared with itself"


def test_the_choice_follows_the_budgets(two_runs: Store) -> None:
    session = Session(two_runs.root, **SMALL)
    session.refresh()
    assert session.choice().recommended is not None
    session.budgets = {**session.budgets, "max_bytes": 1}
    assert session.choice().recommended is None
    session.budgets = {**session.budgets, "min_accuracy": 2.0}
    with pytest.raises(InvalidInput):
        session.choice()


def test_marks_are_seen(two_runs: Store) -> None:
    session = Session(two_runs.root, **SMALL)
    session.refresh()
    run_id = session.runs[0].run_id
    mark(two_runs, run_id, add_tags=("keep",))
    session.refresh()
    assert session.marks[run_id].tags == ("keep",)


def test_a_restarted_kernel_takes_up_what_was_picked(tmp_path: Path) -> None:
    pump, session = Pump(), _kept_session.restored(tmp_path, SMALL)
    _kept_session.keep_from_now_on(session, pump)
    session.steps = [*session.steps, {"use": "bfloat16", "skip": []}]
    pump.drain()
    again = _kept_session.restored(tmp_path, SMALL)
    assert again.to_json() == session.to_json()
    other = _kept_session.restored(tmp_path, {**SMALL, "seed": 5})
    assert len(other.steps) == 1, "a cell that asks for something else gets it"
    (tmp_path / ".session.json").write_text('{"asked')
    assert len(_kept_session.restored(tmp_path, SMALL).steps) == 1


def test_the_session_needs_neither_widgets_nor_torch() -> None:
    code = "import sys; from widgets.session import Session; s = Session('nowhere'); s.problems(); s.refresh(); "
    code += "print([name for name in ('torch', 'ipywidgets', 'anywidget', 'plotly', 'sklearn') if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
