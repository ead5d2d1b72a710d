"""`workbench layers`, and a sensitivity asked for in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workbench.cli import app

NARROW = ["--model", "lenet_300_100 hidden_1=16 hidden_2=8", "--data", "digits", "--step", "train epochs=1"]


def call(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output + result.stderr
    return result.stderr if code else result.stdout


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A store with an int8 run and its parent."""
    store = tmp_path_factory.mktemp("layers") / "runs"
    steps = ["--step", "int8_dynamic", "--metrics", "size", "--store", store, "--json"]
    record = json.loads(call("run", *NARROW, *steps))
    return store, record["run_id"], record["parent"]


def test_a_run_is_held_against_its_parent_unless_told_otherwise(small: tuple[Path, str, str]) -> None:
    store, run, parent = small
    record = json.loads(call("layers", run, "--store", store, "--json"))
    assert (record["schema"], record["run"], record["against"]) == (1, run, parent)
    assert [each["layer"] for each in record["layers"]] == ["fc1", "fc2", "fc3"]
    assert all(each["sqnr_db"] > 20 and each["precision"] == "int8" for each in record["layers"])
    assert json.loads(call("layers", parent, "--store", store, "--json"))["against"] is None
    assert json.loads(call("layers", parent, "--against", run, "--store", store, "--json"))["against"] == run


def test_people_get_a_table_with_how_the_time_was_taken(small: tuple[Path, str, str]) -> None:
    store, run, parent = small
    said = call("layers", run, "--store", store)
    assert f"{run} against {parent}" in said
    assert "fc2" in said and "int8" in said and "SQNR dB" in said
    assert "threads 1" in said and "measured_alone" in said


def test_an_unknown_run_is_bad_input(small: tuple[Path, str, str]) -> None:
    assert "no run" in call("layers", "nothing", "--store", small[0], code=2)


def test_a_sensitivity_is_asked_for_in_words(small: tuple[Path, str, str]) -> None:
    store = small[0]
    asked = "sensitivity step.use=magnitude_prune step.scope=model parameter=sparsity levels=0.5,0.9"
    said = call("run", *NARROW, "--metrics", "quality", "--metrics", asked, "--store", store)
    assert "sensitivity_drop" in said and "layer fc1, step magnitude_prune, parameter sparsity, level 0.9" in said
    wrong = call("run", *NARROW, "--metrics", "sensitivity parameter=sparsty levels=0.5", "--store", store, code=2)
    assert "did you mean 'sparsity'" in wrong
