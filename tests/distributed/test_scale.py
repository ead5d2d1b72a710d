"""`workbench scale` on the command line; real rounds are those of the notebook (tests/notebooks/test_distribute_notebook.py)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from workbench import scale
from workbench.cli import app

MODEL = ["--model", "lenet_300_100 hidden_1=16 hidden_2=8", "--data", "digits"]


def test_the_command_says_what_was_measured_and_fails_when_every_round_was_disturbed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def measured(job: Any, store: Any, plan: scale.Plan, *, say: Any) -> dict[str, Any]:
        asked.append((job.layout.name(), job.steps[0].batch_size, plan))
        kept = [1.8] if plan.rounds == 2 else []
        point = {"processes": 2, "together": kept, "independent": [2.0] * len(kept), "thrown": 1}
        return {"title": "tiny", "thrown": 1, "points": [point]}

    monkeypatch.setattr(scale, "scale", measured)
    words = ["scale", *MODEL, "--updates", "3", "--layout", "sharded", "--chart", str(tmp_path / "c.html")]
    ended = CliRunner().invoke(app, [*words, "--rounds", "2"])
    assert ended.exit_code == 0 and "2 processes 1.80 × one (90% of what independent ones do)" in ended.output
    assert "independent" in (tmp_path / "c.html").read_text()
    assert asked == [("sharded", 8, scale.Plan((2,), 2, 3))]
    disturbed = CliRunner().invoke(app, [*words, "--rounds", "1", "--json"])
    assert disturbed.exit_code == 1 and json.loads(disturbed.stdout)["thrown"] == 1


def test_what_can_not_be_spread_is_refused_with_the_reason(tmp_path: Path) -> None:
    ended = CliRunner().invoke(
        app, ["scale", *MODEL, "--layout", "tensor", "--processes", "2", "--store", str(tmp_path)]
    )
    assert ended.exit_code == 2 and "how to split the layers" in ended.output
    ended = CliRunner().invoke(app, ["scale", *MODEL, "--step", "int8_static", "--store", str(tmp_path)])
    assert ended.exit_code == 2 and "no step here is plain training" in ended.output


def test_processes_whose_parent_has_to_warm_up_first_do_not_wait_for_ever(tmp_path: Path) -> None:
    """Warming up is work, which waits while somebody holds the machine alone: the experiment itself must not be that one."""
    places = {"WORKBENCH_NURSERY": str(tmp_path / "cold"), "WORKBENCH_LOCKS": str(tmp_path / "locks")}
    words = [
        sys.executable,
        "-m",
        "workbench.cli",
        "scale",
        *MODEL,
        "--processes",
        "2",
        "--rounds",
        "1",
        "--updates",
        "1",
    ]
    environment = {**os.environ, **places, "WORKBENCH_NURSERY_IDLE_SECONDS": "1"}
    ended = subprocess.run(
        [*words, "--layout", "data_parallel", "--store", str(tmp_path / "runs")],
        env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert ended.returncode in (0, 1), ended.stderr  # 1: a busy machine disturbed every round
    assert list((tmp_path / "runs" / scale.FOLDER).glob("*.json"))
