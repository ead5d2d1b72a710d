"""Whole jobs under torchrun: an ordinary run comes out of them, or the first failing rank's words."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from workbench import bench, catalog
from workbench.errors import InvalidInput
from workbench.job import Job
from workbench.nouns import Run
from workbench.store import Store

VIT = {"use": "vit", "layers": 2, "width": 32, "heads": 4}


def job(**changes: Any) -> Job:
    record = {
        "model": VIT, "data": {"use": "digits"}, "steps": [{"use": "train", "epochs": 1}],
        "format": {"use": "onnx"}, "metrics": ["size", "quality"],
        "layout": {"use": "data_parallel"}, "launcher": {"use": "torchrun", "nproc": 2},
    }  # fmt: skip
    return Job.from_json({**record, **changes})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    store = Store(tmp_path_factory.mktemp("distributed") / "runs")
    return bench.carry_out(job(), store)


@pytest.mark.slow
def test_the_result_is_an_ordinary_run(finished: Run) -> None:
    assert finished.status == "done", finished.error
    assert finished.get("accuracy", split="test")
    assert (Path(finished.folder) / "artifact" / "load.py").exists()
    assert finished.job["layout"] == {"use": "data_parallel", "accumulate": 1}


@pytest.mark.slow
def test_a_later_step_takes_what_was_trained_together_from_the_cache_and_trains_together_too(finished: Run) -> None:
    store = Store(Path(finished.folder).parent)
    in_rounds = {"use": "magnitude_prune", "sparsity": 0.8, "rounds": 2, "epochs_between": 1}
    pruned = bench.carry_out(job(steps=[{"use": "train", "epochs": 1}, in_rounds]), store)
    assert pruned.status == "done", pruned.error
    assert pruned.parent == finished.run_id
    assert pruned.cached == ("steps[0].train",)
    told = (Path(pruned.folder) / "ranks" / "events-1.jsonl").read_text()
    assert any('"progress"' in line and "steps[1].magnitude_prune" in line for line in told.splitlines())
    dense, sparse = (run.get("nonzero_params").value for run in (finished, pruned))  # type: ignore[union-attr]
    card = job().model.card(job().data.card())
    prunable = sum(layer.num_weights for layer in card.layers if layer.prunable)
    assert dense - sparse == pytest.approx(0.8 * prunable, rel=0.01), "zeros stay zeros while two processes train"


@pytest.mark.slow
def test_every_process_tells_what_it_does(finished: Run) -> None:
    events = [
        json.loads(line) for line in (Path(finished.folder) / "ranks" / "events-1.jsonl").read_text().splitlines()
    ]
    assert events[0]["kind"] == "started" and events[-1]["kind"] == "finished"
    assert any(event["part"] == "steps[0].train" and event["kind"] == "progress" for event in events)


@pytest.mark.slow
def test_no_process_is_left(finished: Run) -> None:
    words = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert not [line for line in words if str(Path(finished.folder).parent) in line]


def test_the_job_id_knows_the_layout_and_not_the_launcher() -> None:
    assert job().job_id == job(launcher={"use": "torchrun", "nproc": 4}).job_id
    assert job().job_id != job(layout=None, launcher=None).job_id
    assert job().job_id != job(layout={"use": "data_parallel", "accumulate": 2}).job_id


def test_processes_without_a_layout_and_a_layout_without_processes_are_refused() -> None:
    with pytest.raises(InvalidInput, match="without a layout one does all the work"):
        bench.check(job(layout=None))
    with pytest.raises(InvalidInput, match="several come with torchrun"):
        bench.check(job(launcher=None))


def test_a_step_that_trains_in_a_way_that_is_not_spread_is_refused() -> None:
    for step in ("ternary", "binary", "weight_sharing"):
        with pytest.raises(InvalidInput, match="a job without a layout"):
            bench.check(job(steps=[{"use": "train", "epochs": 1}, step]))
    bench.check(job(steps=[{"use": "train", "epochs": 1}, "magnitude_prune", "int8_static"]))


def test_a_step_that_trains_says_whether_that_can_be_spread() -> None:
    for step in catalog.parts("compress"):
        if "ctx.train(" in inspect.getsource(inspect.getmodule(step)):  # type: ignore[arg-type]
            said = vars(step).keys() & {"spreads", "why_not_spread"}
            assert said, f"{step.name()} trains: say that it spreads, or why it doesn't"
