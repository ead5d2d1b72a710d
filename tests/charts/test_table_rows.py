"""The table has one row per run with fixed columns, and the filter language says what it can't read."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from crafted_runs import crafted_run

from workbench import catalog, table
from workbench.errors import InvalidInput

PRUNED = ({"use": "train", "epochs": 20}, {"use": "magnitude_prune", "sparsity": 0.8})


def test_every_run_has_one_row_with_every_column_also_failed_ones() -> None:
    found = table.rows([crafted_run("lenet_5-aa-01"), crafted_run("lenet_5-ab-01", status="failed")])
    assert [set(row) for row in found] == [set(table.COLUMNS)] * 2
    failed = found[1]
    assert failed["status"] == "failed"
    assert failed["artifact_bytes"] is None and failed["accuracy"] is None
    assert failed["error"] == "raised: no space <left> here"


def test_a_row_keeps_test_and_validation_apart() -> None:
    run = crafted_run("lenet_5-aa-01", accuracy=0.97)
    changed = [
        replace(each, value=0.5) if each.conditions.get("split") == "validation" and each.name == "accuracy" else each
        for each in run.measurements
    ]
    row = table.rows([replace(run, measurements=tuple(changed))])[0]
    assert row["accuracy"] == pytest.approx(0.97) and row["accuracy_validation"] == 0.5
    assert row["n"] == 900


def test_model_and_recipe_are_said_in_words_with_parameters_that_are_not_the_default() -> None:
    row = table.rows([crafted_run("lenet_5-aa-01", steps=PRUNED)])[0]
    assert row["model"] == "lenet_5"
    assert row["recipe"] == " → ".join(catalog.make("compress", step).describe() for step in PRUNED)
    deep = replace(crafted_run("resnet-aa-01"), job={"model": {"use": "no_such_model", "depth": 8}, "steps": []})
    assert table.rows([deep])[0]["model"] == "no_such_model depth=8"
    assert table.rows([deep])[0]["recipe"] == "as it comes"


def test_a_method_is_the_steps_beyond_training_whatever_their_parameters() -> None:
    steps = [({"use": "train"},), PRUNED, (*PRUNED, {"use": "train", "epochs": 3}, {"use": "int8_dynamic"})]
    runs = [crafted_run(f"lenet_5-a{i}-01", steps=each) for i, each in enumerate(steps)]
    assert [row["method"] for row in table.rows(runs)] == [
        "as trained", "magnitude_prune", "magnitude_prune + int8_dynamic",
    ]  # fmt: skip


def test_ratio_and_percentile_come_from_the_same_threads_and_batch_as_the_median() -> None:
    run = crafted_run("lenet_5-aa-01", p50=0.05, ratio=(0.6, 0.5, 0.7))
    other = [
        replace(each, value=99.0, conditions={**each.conditions, "batch": 32})
        for each in run.measurements
        if each.name == "latency_ratio_to_parent"
    ]
    row = table.rows([replace(run, measurements=(*other, *run.measurements))])[0]
    assert (row["latency_ratio_to_parent"], row["ratio_lo"], row["ratio_hi"], row["batch"]) == (0.6, 0.5, 0.7, 1)


def test_csv_has_whole_numbers_and_empty_cells_for_what_is_missing() -> None:
    text = table.to_csv(table.rows([crafted_run("lenet_5-aa-01"), crafted_run("lenet_5-ab-01", status="lost")]))
    done, lost = list(csv.DictReader(io.StringIO(text)))
    assert done["artifact_bytes"] == "250000" and done["measured_alone"] == "True"
    assert lost["artifact_bytes"] == "" and lost["status"] == "lost"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("accuracy > 0.95", ["good"]),
        ("accuracy > .95 and artifact_bytes <= 1e5", []),
        ("accuracy>0.95 or status!=done", ["good", "gone"]),
        ("status = failed and accuracy > 1 or model = lenet_5 and accuracy < 0.95", ["poor"]),
        ("accuracy = none", ["gone"]),
        ("error != none", ["gone"]),
        ("measured_alone = true", ["good", "poor"]),
        ("recipe contains 'PRUNE'", ["poor"]),
        ('run_id = "and-01"', []),
        ("accuracy != 5", ["good", "poor"]),  # a missing value satisfies no comparison
    ],
)
def test_where_picks_rows(text: str, expected: list[str]) -> None:
    runs = [
        crafted_run("good-01", accuracy=0.99),
        crafted_run("poor-01", accuracy=0.9, steps=PRUNED),
        crafted_run("gone-01", status="failed"),
    ]
    holds = table.where(text)
    assert [row["job_id"] for row in table.rows(runs) if holds(row)] == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("acuracy > 0.9", "did you mean 'accuracy'"),
        ("accuracy > good", "accuracy is a number"),
        ("accuracy", "is not NAME OPERATOR VALUE"),
        ("", "a comparison is missing"),
        ("accuracy > 0.9 and", "a comparison is missing"),
        ("accuracy ~ 0.9", "'~' is not an operator"),
        ("measured_alone > true", "compare it with = or !="),
        ("measured_alone = maybe", "true or false"),
        ("accuracy < none", "only = and !="),
        ("accuracy contains 9", "not text"),
        ("recipe = prune 80 %", "quote a value with blanks"),
        ("accuracy > 1_", "is a number"),
        ("__import__('os') = 1", "is not NAME OPERATOR VALUE"),
    ],
)
def test_where_says_what_it_can_not_read(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        table.where(text)


def test_where_lists_every_problem_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        table.where("acuracy > 0.9 and bacth = 1 or latency_ms_p50 < fast")
    assert len(caught.value.problems) == 3
