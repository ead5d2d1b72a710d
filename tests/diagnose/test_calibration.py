"""The calibration lab: a curve over numbers of examples with a band over choices, and overlap refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.conftest import small_job
from workbench.bench import carry_out
from workbench.cli import app
from workbench.diagnose import Calibration, calibration_lab
from workbench.diagnose.calibration import Count, refuse_overlap
from workbench.errors import InvalidInput
from workbench.nouns import Examples, Run, Splits
from workbench.store import Store

pytestmark = pytest.mark.slow  # together they take longer than `make check` may

STEPS = [{"use": "train", "epochs": 8}, {"use": "int8_static"}]


@pytest.fixture(scope="module")
def run(shared_store: Store) -> Run:
    return carry_out(small_job(steps=STEPS, metrics=["size", "quality"]), shared_store)


@pytest.fixture(scope="module")
def found(run: Run, shared_store: Store) -> Calibration:
    return calibration_lab(run, shared_store, counts=(1, 4), seeds=3)


def test_all_examples_give_what_the_run_has(run: Run, found: Calibration) -> None:
    assert [(each.num_examples, len(each.shares)) for each in found.counts] == [(1, 3), (4, 3), (150, 1)]
    assert found.counts[-1].shares == (run.get("accuracy", split="validation").value,)  # type: ignore[union-attr]
    assert found.counts[-1].most_classes_missing == 0 and found.counts[0].most_classes_missing == 9


def test_one_example_is_worse_and_which_one_matters(found: Calibration) -> None:
    low, high = found.counts[0].band
    assert low < high and low < found.counts[-1].band[0]
    assert len(found.counts) == 3 and found.enough in (4, 150)


def test_enough_is_the_fewest_of_which_no_choice_is_worse() -> None:
    counts = (Count(8, (0.70, 0.9), 2), Count(16, (0.89, 0.9), 0), Count(99, (0.9,), 0))
    assert Calibration("a", "b", "int8", 0.91, 100, counts).enough == 16
    assert Calibration("a", "b", "int8", 0.91, 300, counts).enough == 99


def test_the_command_tells_it(run: Run, shared_store: Store) -> None:
    arguments = [
        "calibration",
        run.run_id,
        "--counts",
        "4",
        "--seeds",
        "2",
        "--store",
        str(shared_store.root),
        "--json",
    ]
    record = json.loads(CliRunner().invoke(app, arguments).stdout)
    assert [each["num_examples"] for each in record["counts"]] == [4, 150] and record["enough"]
    refused = CliRunner().invoke(app, ["calibration", run.run_id, "--counts", "4,x", "--store", str(shared_store.root)])
    assert refused.exit_code == 2 and "whole numbers" in refused.output


def examples(numbers: list[float]) -> Examples:
    return Examples({"x": np.array(numbers, np.float32)[:, None]}, np.zeros(len(numbers), np.int64))


@pytest.mark.parametrize("judge", ["validation", "test"])
def test_calibration_examples_that_judge_too_are_refused(judge: Any) -> None:
    splits = Splits(examples([1]), examples([2, 3]), examples([4, 5]), examples([6]))
    refuse_overlap(splits)
    with pytest.raises(InvalidInput, match=f"2 calibration examples are also in the {judge} split"):
        refuse_overlap(replace(splits, **{judge: examples([5, 9, 4])}))


def test_what_has_no_calibration_is_told(shared_store: Store) -> None:
    with pytest.raises(InvalidInput, match="no precision step"):
        calibration_lab(carry_out(small_job(), shared_store), shared_store)
