"""Rows and studies on a Ray cluster of two nodes that asks for a token: same files, same resuming, a lost machine is no lost work."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from batch_notebooks import processes_of, written

from tests.two_ray_nodes import TwoNodes, workers_of
from workbench.batch import _row
from workbench.batch._folder import Folder
from workbench.batch._identity import Row
from workbench.batch._options import Options
from workbench.batch._ray_row import execute_row
from workbench.errors import InvalidInput
from workbench.launch import _ray_task
from workbench.store import Store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra `ray`"),
]
PARAMETERS = "seed: int = 0"
# The first attempt of a row waits until the test lets it go on.
WAITING = """
import os, time
from pathlib import Path
with Path(f"tried-{seed}").open("a") as file:
    file.write("x")
while len(Path(f"tried-{seed}").read_text()) == 1 and not Path("go-on").exists():
    time.sleep(0.02)
"""
RECORDED = "from workbench.batch import record; record('twice', 2 * seed)"
# So does the training of a job, at each update.
MODEL = """
import sys, time
from pathlib import Path
from torch import nn
HERE = Path(__file__).parent
class Waits(nn.Module):
    def __init__(self, data):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    def forward(self, pixels):
        if self.training and not (HERE / "go-on").exists():
            (HERE / f"job-{Path(sys.argv[2]).name}").touch()
            time.sleep(1)
        return self.layers(pixels)
"""
STUDY = """
name: small
data: digits
metrics: [size]
train: [train epochs=1 batch_size=2]
seeds: {seeds}
models: {{own: "python_callable function={model}:Waits"}}
recipes: {{as trained: {{}}}}
"""


@dataclass
class Story:
    """What happened to a batch and to a study that were stopped, went on, and lost a node in the middle."""

    folder: Path
    said: dict[str, tuple[int, str, str]] = field(default_factory=dict)  # chapter → exit code, stdout, stderr
    seen: dict[str, Any] = field(default_factory=dict)  # chapter → what was on disk after it

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def store(self) -> Store:
        return Store(self.folder / "runs")

    def study(self, name: str) -> list[str | Path]:
        return ["study", self.folder / f"{name}.yaml", "--store", self.store.root, "--resources", "job=1"]

    def ended(self, chapter: str, process: subprocess.Popen[str]) -> None:
        told = process.communicate(timeout=400)
        self.said[chapter] = (process.returncode, *told)

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_bytes()) for path in sorted(self.out.glob("rows/*/record.json"))]


@pytest.fixture(scope="module")
def two() -> Iterator[TwoNodes]:
    made = TwoNodes()
    yield made
    made.end()


def wait_for(condition: Callable[[], Any], seconds: float = 400.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.05)


def tried(folder: Path, pattern: str = "tried-*") -> list[Path]:
    return sorted(folder.glob(pattern))


@pytest.mark.parametrize(
    ("words", "changes", "said"),
    [
        (("--resources", "gpu=3", "-j", "2"), {}, "no machine of the cluster has CPU=1, GPU=3"),
        ((), {"RAY_AUTH_TOKEN": "f" * 64, "RAY_gcs_rpc_server_connect_timeout_s": "1"}, "no Ray cluster at"),
    ],
)
def test_what_can_not_be_is_said_before_any_row(
    two: TwoNodes, tmp_path: Path, words: Any, changes: dict[str, str], said: str
) -> None:
    notebook = written(tmp_path, WAITING, parameters=PARAMETERS)
    runner = two.start("batch", "run", notebook, "--out", tmp_path / "out", *words, **changes)
    _, told = runner.communicate()
    assert runner.returncode == 2 and said in told, told
    assert not tried(tmp_path)


@pytest.fixture(scope="module")
def story(two: TwoNodes, tmp_path_factory: pytest.TempPathFactory) -> Story:
    told = Story(tmp_path_factory.mktemp("story"))
    (told.folder / "own.py").write_text(MODEL)
    for name, seeds in (("one", [1]), ("both", [1, 2])):
        (told.folder / f"{name}.yaml").write_text(STUDY.format(model=told.folder / "own.py", seeds=seeds))
    notebook = written(told.folder, WAITING, RECORDED, parameters=PARAMETERS)
    rows = ("batch", "run", notebook, "-p", "seed=1..3", "--out", told.out, "--resources", "row=1", "--quiet")
    _stopped(told, two, rows)
    _killed(told, two, rows)
    _lost_a_node(told, two)
    return told


def _stopped(told: Story, two: TwoNodes, rows: Any) -> None:
    """Two rows reach their limit, the third is stopped; so is a study."""
    study = two.start(*told.study("one"))
    wait_for(lambda: tried(told.folder, "job-*"))
    batch = two.start(*rows, "--cell-timeout", "8s")
    wait_for((told.folder / "tried-3").exists)
    Folder(told.out).ask_to_stop(at_once=True)
    study.send_signal(signal.SIGINT)
    told.ended("stopped batch", batch)
    told.ended("stopped study", study)
    told.seen["stopped rows"] = told.records()
    told.seen["stopped jobs"] = [run.status for run in told.store.runs()]
    told.seen["left running"] = (processes_of(told.out), workers_of(told.store.root))
    for path in (*tried(told.folder), *tried(told.folder, "job-*")):
        path.unlink()


def _killed(told: Story, two: TwoNodes, rows: Any) -> None:
    batch = two.start(*rows)
    wait_for(lambda: len(tried(told.folder)) == 2)
    batch.kill()
    told.ended("killed", batch)
    wait_for(lambda: not processes_of(told.out))
    for path in tried(told.folder):
        path.unlink()


def _lost_a_node(told: Story, two: TwoNodes) -> None:
    batch = two.start("batch", "run", "--resume", "--out", told.out, "--resources", "row=1", "--json-events")
    study = two.start(*told.study("both"), "--json")
    wait_for(lambda: len(tried(told.folder)) == 2 and len(tried(told.folder, "job-*")) == 2)
    two.kill_the_second()
    wait_for(lambda: "a lost machine" in (told.out / "manifest.jsonl").read_text())
    wait_for(lambda: any("its machine was lost" in path.read_text() for path in _events(told)))
    (told.folder / "go-on").touch()
    told.ended("batch", batch)
    told.ended("study", study)
    told.seen["still running"] = (processes_of(told.out), workers_of(told.store.root))


def _events(told: Story) -> list[Path]:
    return list(told.store.root.glob(".draft-*/events.jsonl"))


def test_limits_hold_on_the_machine_that_executes(story: Story) -> None:
    first = story.seen["stopped rows"][0]
    assert (first["status"], first["error"]["cell"]) == ("timeout", 3) and first["peak_mb"] > 10
    assert first["env_id"] in json.loads((story.out / "env.json").read_bytes())


def test_a_stopped_batch_says_how_to_go_on_and_leaves_nothing_running(story: Story, two: TwoNodes) -> None:
    code, _, said = story.said["stopped batch"]
    assert code == 5 and f"--executor ray --address {two.address} --resources row=1" in said, said
    assert [each["status"] for each in story.seen["stopped rows"]] == ["timeout", "timeout", "cancelled"]
    assert story.seen["left running"] == ([], [])


def test_a_stopped_study_is_resumable_and_its_job_is_cancelled(story: Story) -> None:
    code, _, said = story.said["stopped study"]
    assert code == 1 and "0 of 1 jobs are done" in said and "run the same study again" in said, said
    assert story.seen["stopped jobs"] == ["cancelled"]


def test_a_batch_ends_although_a_node_is_killed_in_the_middle(story: Story) -> None:
    code, _, said = story.said["batch"]
    records = story.records()
    assert code == 0 and [each["status"] for each in records] == ["passed"] * 3, said
    assert all(each["metrics"]["twice"]["value"] == 2 * each["params"]["seed"] for each in records)
    assert sorted(len(each["attempts"]) for each in records) == [1, 1, 2]
    first = next(each["attempts"][0] for each in records if len(each["attempts"]) == 2)
    assert first["status"] == "error" and "worker was lost" in first["message"]
    assert story.seen["still running"] == ([], [])


def test_a_study_ends_although_a_node_is_killed_in_the_middle(story: Story) -> None:
    code, _, said = story.said["study"]
    runs = [run for run in story.store.runs() if run.status == "done"]
    assert code == 0 and sorted(run.job["seed"] for run in runs) == [1, 2], said
    assert {run.job["launcher"]["use"] for run in runs} == {"ray"}
    begun = [(Path(run.folder) / "events.jsonl").read_text().count('"kind":"started"') for run in runs]
    assert sorted(begun) == [1, 2]


def test_what_ray_tells_of_a_lost_node_is_not_among_the_json(story: Story) -> None:
    events = [json.loads(line) for line in story.said["batch"][1].splitlines()]
    assert events[-1]["kind"] == "finished" and events[-1]["exit_code"] == 0
    assert [each["status"] for each in json.loads(story.said["study"][1])["runs"]] == ["done", "done"]
    assert "raylet" in story.said["batch"][2]


def test_what_is_done_needs_no_cluster_again(story: Story, two: TwoNodes) -> None:
    before = sorted(path.name for path in story.store.root.iterdir())
    study = two.start(*story.study("both"), RAY_AUTH_TOKEN="f" * 64)
    assert study.wait() == 0 and sorted(path.name for path in story.store.root.iterdir()) == before


def test_a_machine_that_does_not_see_the_folder_says_so(tmp_path: Path) -> None:
    order = _row.Order("/nowhere/work.ipynb", str(tmp_path), {}, 1, str(tmp_path))
    (missing,) = execute_row(order, Row("a", {}, {}), Options(), 1)  # type: ignore[misc]
    assert missing.startswith("/nowhere/work.ipynb isn't there on ")
    (missing,) = _ray_task.carry_through(_ray_task.Sent("/nowhere/.draft-a-01", str(tmp_path), 1, "/"))  # type: ignore[misc]
    assert missing.startswith("/nowhere/.draft-a-01 isn't there on ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Options(executor="rai"), "did you mean 'ray'"),
        (Options(address="a:1"), "--address is for --executor ray only"),
        (Options(executor="ray", address="ray://a:1"), "as in HOST:6379"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: Options, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        options.settled()
