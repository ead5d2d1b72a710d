"""A search finds mixes that no single method reaches, reads validation only, and goes on where it was stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.search.landscape import Landscape
from workbench.errors import InvalidInput, MissingExtra, WorkbenchError
from workbench.job import Job
from workbench.search import Found, _suggest, search
from workbench.search._refusing import Bar, Refusing
from workbench.search._state import State
from workbench.store import Store

RECORD = {"model": "lenet_5", "data": "digits", "steps": [{"use": "train", "epochs": 8}]}
BASE = Job.from_json(RECORD)
FEW = {
    "only": ["channel_prune", "low_rank", "weight_sharing", "int8_static", "bfloat16"],
    "formats": ["onnx", "coded", "pt2"],
}


def found_by(store: Store, **options: Any) -> Found:
    given: dict[str, Any] = {"minimise": ["bytes"], "max_drop": 1.0, "budget_seconds": 60, **FEW, **options}
    return search(BASE, store, **given)


def asked(found: Found) -> list[str]:
    return [trial.job_id for trial in found.trials if trial.status == "done"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """A search of sixty jobs in one go."""
    with pytest.MonkeyPatch.context() as patched:
        Landscape(patched, most=60)
        return found_by(Store(tmp_path_factory.mktemp("whole") / "runs"))


def test_no_single_method_beats_the_front(whole: Found) -> None:
    """For each recipe with one change or one precision some member is at least as small and loses no more."""
    points = {run.run_id: (run.get("artifact_bytes").value, whole.choice.drops[run.run_id].value) for run in whole.runs}  # type: ignore[union-attr]
    front = [points[each.run.run_id] for each in whole.front]
    assert all(any(size <= x and drop <= y for size, drop in front) for x, y in points.values())
    looked_at = {step["use"] for trial in whole.trials if trial.how == "start" for step in trial.steps}
    assert looked_at - {"train"} == set(FEW["only"])


def test_what_is_chosen_is_a_mix_far_smaller_than_the_best_single_method(whole: Found) -> None:
    """Half the channels (free here) and 16 shared values cost 0.25 points: 0.25 × 0.13 × 0.9 of the whole."""
    chosen = whole.chosen
    assert chosen is not None and whole.chosen_job is not None
    assert {"channel_prune", "weight_sharing"} <= {step.name() for step in whole.chosen_job.steps}
    assert chosen.get("artifact_bytes").value <= 0.25 * 0.13 * 0.9 * 1_000_000  # type: ignore[union-attr]
    assert whole.choice.drops[chosen.run_id].value <= 1.0  # type: ignore[union-attr]


def test_what_cannot_run_or_cannot_win_is_told(whole: Found) -> None:
    reasons = {trial.refused for trial in whole.trials if trial.refused}
    assert any("not lowered" in reason for reason in reasons)
    assert any(reason.startswith("by the estimate") for reason in reasons)
    assert whole.refusals()["illegal"] and whole.refusals()["by their estimate"]
    assert all(not trial.status for trial in whole.trials if trial.refused)


def test_test_answers_choose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for name, wrong_test in (("a", range(0)), ("b", range(700))):
        Landscape(monkeypatch, most=20, wrong_test=wrong_test)
        found.append(found_by(Store(tmp_path / name)))
    assert asked(found[0]) == asked(found[1])
    assert found[0].chosen.job_id == found[1].chosen.job_id  # type: ignore[union-attr]
    assert "Test, not used to choose: accuracy 30.00%" in " ".join(found[1].why())


def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Found
) -> None:
    store = Store(tmp_path / "runs")
    for most in (7, 21, 32):  # sixty in all
        Landscape(monkeypatch, most=most)
        found = found_by(store)
        assert found.was_stopped and found.front and found.chosen
    assert asked(found) == asked(whole)
    assert [each.run.run_id for each in found.front] == [each.run.run_id for each in whole.front]


def test_a_line_that_was_cut_off_while_it_was_written_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "runs")
    Landscape(monkeypatch, most=5)
    first = found_by(store)
    file = store.root / ".search" / first.name / "trials.jsonl"
    whole_text = file.read_bytes()
    file.write_bytes(whole_text[:-9])  # the end of the last run was being noted
    landscape = Landscape(monkeypatch, most=0)
    again = found_by(store)
    assert asked(again) == asked(first) and not landscape.jobs


def test_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "runs")
    Landscape(monkeypatch, most=3)
    name = found_by(store).name
    monkeypatch.setattr("workbench.search._state.digest", lambda question: name)
    held = State(store, {})
    with pytest.raises(WorkbenchError, match="under way in another process"):
        found_by(store)
    held.close()
    Landscape(monkeypatch, most=1)
    assert found_by(store).front


def test_a_finished_space_ends_before_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    landscape = Landscape(monkeypatch)
    found = found_by(Store(tmp_path / "runs"), only=["int8_static"], formats=["onnx"])
    assert found.ended == "nothing new is left to try"
    assert len(landscape.jobs) == 4  # as trained, and int8 with three ways to calibrate


def test_what_fits_as_measured_but_is_not_shown_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Landscape(monkeypatch)
    found = found_by(Store(tmp_path / "runs"), only=["int8_static"], formats=["onnx"], max_drop=0.25)
    assert found.chosen is not found.choice.recommended  # type: ignore[union-attr]
    said = " ".join(found.why())
    assert "fits as measured, +0.20 points" in said and "not shown: 1000 validation examples" in said
    assert "Test, not used to choose: accuracy 98.80%" in said and "Shown to fit is" in said


def test_other_searches_have_other_seeds_and_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "runs")
    found = []
    for seed in (0, 1):
        Landscape(monkeypatch, most=22)
        found.append(found_by(store, sampler_seed=seed))
    assert found[0].name != found[1].name
    assert asked(found[0]) != asked(found[1])


def test_other_seeds_repeat_what_was_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    landscape = Landscape(monkeypatch)
    found = found_by(Store(tmp_path / "runs"), only=["int8_static"], formats=["onnx"], seeds=3)
    assert [run.job["seed"] for run in found.again] == [1, 2]
    assert {job.seed for job in landscape.jobs} == {0, 1, 2}
    assert all(run.job["steps"] == found.chosen.job["steps"] for run in found.again)  # type: ignore[union-attr]
    assert "With seed 1: validation accuracy" in " ".join(found.why())


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [*RECORD["steps"], {"use": "int8_static"}]
    with pytest.raises(InvalidInput) as caught:
        search(Job.from_json({**RECORD, "steps": steps}), Store(tmp_path), max_drop=0, budget_seconds=-1, threads=[0])
    assert len(caught.value.problems) == 4
    with pytest.raises(InvalidInput, match="did you mean 'latency'"):
        search(BASE, Store(tmp_path), minimise=["latncy"])
    (tmp_path / "own.py").write_text("def data(**_): ...\n")
    own = {"use": "python_dataset", "function": f"{tmp_path / 'own.py'}:data", "task": "unlabelled", "options": {}}
    with monkeypatch.context() as patched:
        patched.setattr(
            "workbench.data.python_dataset.PythonDataset.card", lambda _: replace(BASE.data.card(), task="unlabelled")
        )
        with pytest.raises(InvalidInput, match="has no labels"):
            search(Job.from_json({**RECORD, "data": own}), Store(tmp_path))
    with pytest.raises(InvalidInput, match="isn't trained"):
        search(Job.from_json({**RECORD, "steps": []}), Store(tmp_path))
    with pytest.raises(InvalidInput, match="did you mean 'onnx'"):
        search(BASE, Store(tmp_path), formats=["onx"])


def test_without_the_optimiser_the_command_that_installs_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_suggest.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'workbench\[search\]'"):
        search(BASE, Store(tmp_path))


# ── estimates ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def refusing(*aims: str, **options: Any) -> Refusing:
    from workbench.search import _aims

    return Refusing(BASE.model.card(BASE.data.card()), _aims.aims(aims), 1, **{"ceilings": None, **options})


def job(*steps: Any, written: str = "onnx") -> Job:
    return Job.from_json({**RECORD, "steps": [*RECORD["steps"], *steps], "format": written})


@pytest.mark.parametrize(
    ("aims", "steps", "written", "word"),
    [
        (["bytes"], [{"use": "magnitude_prune"}], "onnx", "changes neither bytes"),
        (["bytes"], [{"use": "magnitude_prune"}], "coded", ""),
        (["latency"], [{"use": "magnitude_prune"}], "coded", "changes neither latency"),
        (["latency"], [{"use": "channel_prune"}], "onnx", ""),
        (["bytes", "latency"], [{"use": "weight_sharing"}], "onnx", "neither bytes nor latency"),
        (["bytes"], [{"use": "channel_prune"}, {"use": "channel_prune"}], "onnx", "twice at the same strength"),
        (["bytes"], [{"use": "int8_static"}, {"use": "channel_prune"}], "onnx", "already decided"),
    ],
)  # fmt: skip
def test_a_step_that_changes_no_minimised_cost_is_not_run(
    aims: list[str], steps: list[Any], written: str, word: str
) -> None:
    assert word in (refusing(*aims).reason(job(*steps, written=written)) or "")
    assert bool(word) == bool(refusing(*aims).reason(job(*steps, written=written)))


def test_what_costs_more_at_best_than_what_was_measured_without_loss_is_not_run() -> None:
    beaten = refusing("bytes", bars=[Bar("small-01", bytes=20_000)])
    assert "more than small-01" in beaten.reason(job({"use": "int8_static"}))
    assert not refusing("bytes", bars=[Bar("large-01", bytes=400_000)]).reason(job({"use": "int8_static"}))
    assert not refusing("bytes", "latency", bars=[Bar("small-01", bytes=20_000)]).reason(job({"use": "int8_static"}))


# ── really ────────────────────────────────────────────────────────────────────────────────────────────────────────────

COMMAND = [
    sys.executable, "-m", "workbench.cli", "search", "--model", "lenet_300_100 hidden_1=16 hidden_2=8", "--data", "digits",
    "--step", "train epochs=1", "--minimise", "bytes", "--only", "int8_static", "--formats", "onnx",
    "--budget", "5m", "--max-drop", "50",
]  # fmt: skip


@pytest.mark.slow
def test_a_search_killed_on_its_way_is_finished_by_the_same_command(tmp_path: Path) -> None:
    command = [*COMMAND, "--store", str(tmp_path / "runs"), "--report", str(tmp_path / "page.html")]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    store = Store(tmp_path / "runs")
    until = time.monotonic() + 120
    while len(store.runs()) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    before = {run.job_id for run in store.runs()}
    assert len(before) >= 2
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "nothing new is left to try" in ended.stdout
    assert "workbench run --model" in ended.stdout and "recipes:" in ended.stdout
    runs = store.runs()
    assert len({run.job_id for run in runs}) == len(runs) > len(before), "nothing was run twice"
    page = (tmp_path / "page.html").read_text()
    assert "The front" in page and "The recipe" in page
    record = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)
    assert record["chosen"] and record["front"] and record["report"].endswith("page.html")
    said = subprocess.run([*COMMAND[:4], "--help"], capture_output=True, text=True).stdout
    assert not [key for key in [*record, *record["front"][0]] if f'"{key}"' not in said]
