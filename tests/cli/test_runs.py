"""The commands that read finished runs: table, show, compare, choose."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.calling import call, ids, read
from workbench.store import Store


def test_table_lists_runs_for_people_spreadsheets_and_programs(runs: Store) -> None:
    assert all(run_id in call("table", "--store", runs.root).stdout for run_id in ids(runs))
    lines = call("table", "--store", runs.root, "--csv").stdout.splitlines()
    assert lines[0].startswith("run_id,model")
    assert len(lines) == 3
    rows = read("table", "--store", runs.root)["rows"]
    assert {row["run_id"] for row in rows} == set(ids(runs))


def test_table_picks_rows(runs: Store) -> None:
    rows = read("table", "--store", runs.root, "--where", "recipe contains int8 and artifact_bytes > 10")["rows"]
    assert [row["run_id"] for row in rows] == [ids(runs)[1]]
    assert "did you mean 'accuracy'" in call("table", "--store", runs.root, "--where", "accurcy > 1", code=2).stderr


def test_an_empty_store_says_how_to_fill_it(tmp_path: Path) -> None:
    assert "workbench run" in call("table", "--store", tmp_path).stdout


def test_a_broken_record_is_skipped_and_named(runs: Store, tmp_path: Path) -> None:
    (tmp_path / "broken-01").mkdir()
    (tmp_path / "broken-01" / "run.json").write_text("{")
    assert "broken-01" in call("table", "--store", tmp_path).stderr
    assert "broken-01" in read("table", "--store", tmp_path)["skipped"][0]


def test_the_store_may_come_from_the_environment(runs: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_STORE", str(runs.root))
    assert len(read("table")["rows"]) == 2


def test_show_takes_the_beginning_of_an_id_and_tells_everything(runs: Store) -> None:
    trained, small = ids(runs)
    said = call("show", small[:-5], "--store", runs.root).stdout
    for wanted in (small, "train epochs=1", "CPU seconds", trained, "versions", "accuracy"):
        assert wanted in said
    assert read("show", small, "--store", runs.root)["parent"] == trained


def test_show_of_nothing_or_of_two_is_bad_input(runs: Store) -> None:
    assert "did you mean" in call("show", ids(runs)[0] + "9", "--store", runs.root, code=2).stderr
    assert "2 runs" in call("show", "lenet", "--store", runs.root, code=2).stderr


def test_compare_pairs_the_answers_and_says_that_speed_was_not_measured_together(runs: Store) -> None:
    trained, small = ids(runs)
    said = call("compare", trained, small, "--store", runs.root).stdout
    assert "same 900 test examples" in said
    assert "--measure" in said
    record = read("compare", trained, small, "--store", runs.root)
    assert record["a"] == trained
    assert record["accuracy"]["both"] + record["accuracy"]["only_a"] > 0
    assert record["latency"]["ratio"] is None


def test_measuring_together_is_kept_and_found_again_in_either_order(runs: Store) -> None:
    trained, small = ids(runs)
    first = read("compare", trained, small, "--store", runs.root, "--measure")["latency"]
    assert first["how"] == "measured together"
    again = read("compare", trained, small, "--store", runs.root)["latency"]
    assert again == first
    swapped = read("compare", small, trained, "--store", runs.root)["latency"]["ratio"]["ratio"]
    assert swapped == pytest.approx(1 / first["ratio"]["ratio"], rel=1e-6)


def test_a_run_is_not_timed_against_itself(runs: Store) -> None:
    trained, _ = ids(runs)
    assert "against itself" in call("compare", trained, trained, "--measure", "--store", runs.root, code=2).stderr


def test_choose_recommends_and_says_why_not_the_others(runs: Store) -> None:
    trained, small = ids(runs)
    record = read("choose", "--max-drop", "100", "--store", runs.root)
    assert record["recommended"] == small  # fewer bytes, and any drop fits
    assert list(record["why_not"]) == [trained]
    assert small in call("choose", "--max-drop", "100", "--store", runs.root).stdout


def test_choose_ends_with_one_when_nothing_fits_and_two_when_the_budget_is_none(runs: Store) -> None:
    assert "no run fits" in call("choose", "--max-bytes", "10", "--store", runs.root, code=1).stdout
    assert "max_drop" in call("choose", "--max-drop", "-1", "--store", runs.root, code=2).stderr
