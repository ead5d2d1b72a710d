"""The panel that starts batches: problems before anything runs, a real runner, and the study of what the view shows."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "batch"))  # notebooks are written as the tests of batches write them

from batch_notebooks import HOSTILE, THEN, written

from tests.conftest import small_job
from widgets.pump import Pump
from widgets.session import Session
from widgets.start_batch import StartBatch
from workbench.batch import load
from workbench.bench import carry_out
from workbench.store import Store
from workbench.study import check_study, expand

SECONDS = 120


@pytest.fixture
def panel(tmp_path: Path) -> StartBatch:
    session = Session(tmp_path / "runs", model="lenet_300_100")
    session.refresh()
    made = StartBatch(session, Pump())
    made.notebook.value = str(written(tmp_path, HOSTILE, THEN))
    made.pump.drain()
    return made


def fill(panel: StartBatch, **texts: str) -> None:
    for name, text in texts.items():
        panel.grid.fields[name].value = text
    panel.pump.drain()


def wait(panel: StartBatch) -> None:
    deadline = time.monotonic() + SECONDS
    while panel.started is not None and time.monotonic() < deadline:
        panel.pump.drain()
        time.sleep(0.1)
    assert panel.started is None


def test_each_declared_parameter_has_a_field_that_says_what_it_takes(panel: StartBatch) -> None:
    assert list(panel.grid.fields) == ["kind", "seed"]
    assert "one of fine, raise" in panel.grid.fields["kind"].tooltip
    assert "0 ≤ seed ≤ 999" in panel.grid.fields["seed"].tooltip
    assert "1 row: 1 to execute" in panel.told.value and not panel.start.disabled


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [("kind", "fine, rise", "raise"), ("seed", "0..1000", "outside"), ("seed", "many", "whole number")],
)
def test_a_value_that_does_not_fit_is_said_and_nothing_can_start(
    panel: StartBatch, name: str, text: str, said: str
) -> None:
    fill(panel, **{name: text})
    assert said in panel.told.value and 'role="alert"' in panel.told.value and panel.start.disabled
    panel._start()
    assert panel.started is None and not Path(panel.out.value).exists()


def test_a_notebook_that_is_not_there_is_said(panel: StartBatch, tmp_path: Path) -> None:
    panel.notebook.value = str(tmp_path / "none.ipynb")
    panel.pump.drain()
    assert "none.ipynb" in panel.told.value and panel.start.disabled


def test_it_runs_shows_failures_and_goes_on_only_with_what_is_left(panel: StartBatch) -> None:
    fill(panel, kind="fine,raise", seed="1")
    assert "2 rows: 2 to execute, 0 done" in panel.told.value
    panel.start.click()
    panel.pump.drain()
    assert panel.started is not None and panel.start.disabled
    wait(panel)
    assert panel.watching is not None and "1 passed, 1 failed" in panel.watching.told.value
    assert "no good in" in panel.watching.rows.value
    assert "2 rows: 1 to execute, 1 done" in panel.told.value and not panel.start.disabled
    words = shlex.split(panel.command.value.partition("<code>")[2].partition("</code>")[0])
    assert words[:3] == ["workbench", "batch", "run"] and "kind=fine,raise" in words
    assert load(words[words.index("--out") + 1]).batch.counts == {"passed": 1, "failed": 1}


def test_a_notebook_that_follows_brings_its_parameters_and_is_executed_in_each_row(
    panel: StartBatch, tmp_path: Path
) -> None:
    fill(panel, seed="1")
    second = written(tmp_path, "from workbench.batch import record\nrecord('mean', 2 * scale)", parameters="scale = 1.0", name="then.ipynb")  # fmt: skip
    panel.then.fields[-1].value = str(tmp_path / "none.ipynb")
    panel.pump.drain()
    assert "none.ipynb" in panel.told.value and panel.start.disabled
    panel.then.fields[0].value = str(second)
    panel.pump.drain()
    assert len(panel.then.fields) == 2 and panel.then.fields[1].value == ""
    assert list(panel.grid.fields) == ["kind", "seed", "scale"] and panel.grid.fields["seed"].value == "1"
    fill(panel, scale="3")
    panel.start.click()
    panel.pump.drain()
    wait(panel)
    words = shlex.split(panel.command.value.partition("<code>")[2].partition("</code>")[0])
    assert words[words.index("--then") + 1] == str(second)
    done = load(panel.out.value)
    assert done.df["metric.mean"].tolist() == [6.0] and done.df["metric.tried"].tolist() == [1.0]
    panel.then.fields[0].value = ""
    panel.pump.drain()
    assert (
        len(panel.then.fields) == 1
        and list(panel.grid.fields) == ["kind", "seed"]
        and "--then" not in panel.command.value
    )


def test_the_view_becomes_a_study_of_the_comparing_notebook(panel: StartBatch, tmp_path: Path) -> None:
    steps = [{"use": "train", "epochs": 1}, {"use": "magnitude_prune", "sparsity": 0.5}]
    run = carry_out(small_job(steps=steps, metrics=[{"use": "size"}, {"use": "quality"}]), Store(tmp_path / "runs"))
    panel.session.refresh()
    panel.session.selected = (run.run_id,)
    panel.of_view.click()
    panel.pump.drain()
    assert panel.notebook.value.endswith("20_compare.ipynb") and not panel.start.disabled
    study = check_study(yaml.safe_load(Path(panel.grid.fields["study_file"].value).read_text()))
    assert run.job_id in {job.job_id for job in expand(study)}
    assert panel.grid.fields["store_folder"].value == str(tmp_path / "runs")
