"""Calls the command line in this process, and reads what it says."""

from __future__ import annotations

import json
from typing import Any

from typer.testing import CliRunner

from workbench.cli import app
from workbench.store import Store

NARROW = "lenet_300_100 hidden_1=16 hidden_2=8"
ARGUMENTS = ["--model", NARROW, "--data", "digits", "--step", "train epochs=1", "--metrics", "size,quality"]


def call(*words: object, code: int = 0) -> Any:
    """Run a command and return its result; fails when the exit code isn't `code`."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output + result.stderr
    return result


def read(*words: object, code: int = 0) -> dict[str, Any]:
    record = json.loads(call(*words, "--json", code=code).stdout)
    assert record["schema"] == 1
    return record


def ids(runs: Store) -> tuple[str, str]:
    trained, small = sorted(runs.runs(), key=lambda run: len(run.job["steps"]))
    return trained.run_id, small.run_id
