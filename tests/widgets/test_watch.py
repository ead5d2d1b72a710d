"""What a notebook and a runner outside are told while a study goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from widgets import watch
from workbench.batch.progress import VARIABLE
from workbench.nouns import Run
from workbench.study import Progress

TRAINING = {"kind": "progress", "part": "steps[0].train", "done": 3, "total": 6, "unit": "batches", "run_id": "a-01"}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What the display under the cell was set to, in order."""
    found: list[dict[str, str]] = []

    class Handle:
        def update(self, bundle: dict[str, str], *, raw: bool) -> None:
            found.append(bundle)

    monkeypatch.setattr(watch, "display", lambda *_, **__: Handle())
    return found


def test_a_study_is_one_sentence() -> None:
    progress = Progress(done=2, total=8, eta_seconds=75.0, running={"a": TRAINING})
    assert watch.sentence(progress) == "2 of 8 runs · about 75 s left · a steps[0].train 3/6 batches"


def test_a_failed_run_stays_visible_and_is_escaped(shown: list[dict[str, str]]) -> None:
    failed = Run(run_id="a-01", job_id="a", status="failed", job={}, error={"message": "<no>"})
    watching = watch.WatchStudy()
    watching(Progress(done=1, total=2, eta_seconds=1.0, running={}, ended=failed))
    watching(Progress(done=2, total=2, eta_seconds=0.0, running={}, ended=Run("b-01", "b", "done", {})))
    assert shown[-1]["text/plain"] == "2 of 2 runs\na-01 failed: <no>"
    assert "&lt;no&gt;" in shown[-1]["text/html"] and 'value="2"' in shown[-1]["text/html"]


def test_the_runner_is_told_when_it_asked(
    shown: list[dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    watch.WatchRun()(TRAINING)
    assert not told.exists()
    monkeypatch.setenv(VARIABLE, str(told))
    watch.WatchRun()(TRAINING)
    watch.WatchStudy()(Progress(done=1, total=2, eta_seconds=None, running={"a": TRAINING}))
    lines = [json.loads(line) for line in told.read_text().splitlines()]
    assert [line.get("run_id") for line in lines] == ["a-01", None, "a"]
    assert lines[1] == {"done": 1, "total": 2, "unit": "runs", "eta_s": None}
