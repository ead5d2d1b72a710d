"""One batch of notebooks that do their worst: each gets its status, none disturbs another, nothing is left running."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pytest
from batch_notebooks import HOSTILE, THEN, called, processes_of, written

pytestmark = pytest.mark.slow  # together they take longer than `make check` may

KINDS = ("raise", "loop", "hog", "die", "leave", "rich", "spawn")


class Ran(NamedTuple):
    folder: Path
    command: subprocess.CompletedProcess[str]
    records: dict[str, dict[str, Any]]  # by kind, by `fine-SEED` and `raise-SEED`


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("hostile")
    notebook, grid = written(folder, HOSTILE, THEN), folder / "grid.yaml"
    points = [
        {"seed": 1},
        {"seed": 2},
        {"seed": 3},
        {"seed": 4},
        *({"kind": kind} for kind in KINDS),
        {"kind": "raise", "seed": 77},
    ]
    grid.write_text(json.dumps({"include": points}))
    limits = ("--timeout", "12", "--mem", "400MB", "-j", "2", "--junit", folder / "junit.xml")
    done = called("run", notebook, "--grid", grid, "--out", folder / "out", *limits)
    found = {}
    for path in (folder / "out" / "rows").glob("*/record.json"):
        record = json.loads(path.read_bytes())
        kind, seed = record["params"]["kind"], record["params"]["seed"]
        found[f"{kind}-{seed}" if seed else kind] = record
    return Ran(folder / "out", done, found)


def test_each_row_gets_the_status_that_it_earned(ran: Ran) -> None:
    statuses = {name: record["status"] for name, record in ran.records.items()}
    assert statuses == {
        "fine-1": "passed", "fine-2": "passed", "fine-3": "passed", "fine-4": "passed", "raise": "failed", "raise-77": "failed",
        "loop": "timeout", "hog": "oom_limit", "die": "kernel_died", "leave": "passed", "rich": "failed", "spawn": "passed",
    }  # fmt: skip
    assert ran.command.returncode == 1, ran.command.stderr


def test_a_failure_names_its_cell_and_keeps_what_ran(ran: Ran) -> None:
    error = ran.records["raise"]["error"]
    assert (error["name"], error["cell"]) == ("ValueError", 3)
    assert 'if kind == "raise"' in error["cell_excerpt"] and "ValueError" in error["traceback_tail"]
    executed = nbformat.read(ran.folder / "rows" / ran.records["loop"]["row_id"] / "out.ipynb", as_version=4)
    assert any("tried" in str(cell.get("outputs")) for cell in executed.cells)


def test_an_early_exit_is_told(ran: Ran) -> None:
    assert ran.records["leave"]["reason"] == "left early by sys.exit in cell 3: 1 code cells did not run"


def test_what_was_recorded_before_the_end_is_kept(ran: Ran) -> None:
    assert ran.records["die"]["metrics"]["tried"]["value"] == 1.0
    assert ran.records["fine-3"]["metrics"]["accuracy"]["value"] == pytest.approx(0.903)


def test_the_memory_of_the_whole_tree_is_recorded(ran: Ran) -> None:
    assert ran.records["hog"]["peak_mb"] > 400
    assert "more than its limit of 400 MB" in ran.records["hog"]["error"]["message"]


def test_errors_that_differ_in_paths_and_digits_are_one_group(ran: Ran) -> None:
    assert ran.records["raise"]["error"]["signature"] == ran.records["raise-77"]["error"]["signature"]
    assert "**2 × ValueError**" in (ran.folder / "summary.md").read_text()


def test_nothing_is_left_running(ran: Ran) -> None:
    assert processes_of(ran.folder) == []


def test_nobody_disturbed_the_others(ran: Ran) -> None:
    assert not list((ran.folder / "rows").glob(".*"))
    assert all(not record["error"] for name, record in ran.records.items() if name.startswith("fine"))


def test_the_command_says_how_to_go_on(ran: Ran) -> None:
    assert f"workbench batch run --resume --out {ran.folder}" in ran.command.stderr


def test_the_manifest_tells_every_change_in_order(ran: Ran) -> None:
    row_id = ran.records["fine-1"]["row_id"]
    lines = [json.loads(line) for line in (ran.folder / "manifest.jsonl").read_text().splitlines()]
    assert [line["state"] for line in lines if line["row_id"] == row_id] == ["planned", "running", "passed"]
