"""What the batch commands say of a notebook and of a folder, and how the end of a batch is judged."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from batch_folders import PARAMETERS, crafted
from batch_notebooks import written
from nbformat import v4
from typer.testing import CliRunner

from workbench.batch._folder import Folder
from workbench.batch._plan import make_plan, sort_out
from workbench.batch.carry_out import _judged
from workbench.batch.index import index_page
from workbench.batch.views import look
from workbench.cli import app


def told(*words: object) -> str:
    done = CliRunner().invoke(app, ["batch", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_notebook_is_described_with_what_deceives_in_it(tmp_path: Path) -> None:
    cell = "bits: int = 8  # grid steps; choices: 2, 4, 8\nrate = 0.5  # range: 0..1\ntwice = rate * 2"
    said = told("describe", written(tmp_path, "pass", parameters=cell))
    for part in ("bits", "int", "2, 4, 8", "grid steps", "0 ≤ rate ≤ 1", "twice = rate * 2: is derived"):
        assert part in said
    record = json.loads(told("describe", tmp_path / "work.ipynb", "--json"))
    assert [each["name"] for each in record["parameters"]] == ["bits", "rate", "twice"]
    assert "declares no parameter" in told("describe", written(tmp_path, "pass", parameters=None))


def test_a_plan_says_how_much_is_left_and_what_it_takes(tmp_path: Path) -> None:
    folder = crafted(tmp_path, 6, failing=2)
    said = told("plan", tmp_path / "work.ipynb", *_words(folder), "--out", folder.path, "-j", "2")
    assert "6 rows, 2 to do, 4 done" in said and "2 side by side" in said and "was failed" in said


def _words(folder: Folder) -> list[str]:
    grid = folder.path.parent / "grid.yaml"
    grid.write_text(json.dumps({"include": [row["given"] for row in folder.plan()["rows"]]}))
    return ["--grid", str(grid)]


def test_status_and_show_say_what_failed_and_how_to_go_on(tmp_path: Path) -> None:
    folder = crafted(tmp_path, 3, failing=1)
    said = told("status", folder.path, "--watch")  # nobody runs it: once
    assert "2 passed, 1 failed; nobody runs it" in said and "no <b>file</b>" in said
    assert f"workbench batch run --resume --out {folder.path}" in said
    failed = next(row_id for row_id, record in folder.records().items() if record.error)
    shown = told("show", folder.path, failed[-6:])
    assert f"{failed}: failed" in shown and "ValueError (other) in cell 3" in shown and "1 / 0" in shown


def test_a_report_gives_every_executed_notebook_a_page(tmp_path: Path) -> None:
    folder = crafted(tmp_path, 2)
    cell = v4.new_code_cell("1", outputs=[v4.new_output("stream", name="stdout", text="one")])
    for row_id in folder.records():
        nbformat.write(v4.new_notebook(cells=[cell]), folder.row(row_id) / "out.ipynb")
        nbformat.write(v4.new_notebook(cells=[cell]), folder.row(row_id) / "out-2-then.ipynb")
    assert told("report", folder.path, "--pages").strip() == str(folder.path / "index.html")
    assert len(list(folder.rows.glob("*/out.html"))) == len(list(folder.rows.glob("*/out-2-then.html"))) == 2


def test_cleaning_keeps_the_last_rows(tmp_path: Path) -> None:
    folder = crafted(tmp_path, 4)
    for row_id in folder.records():
        (folder.row(row_id) / "out.ipynb").write_text("{}")
        (folder.row(row_id) / "out-2-then.ipynb").write_text("{}")
    assert "6 files and folders" in told("clean", folder.path, "--keep-last", "1", "--yes")
    assert len(list(folder.rows.glob("*/out*.ipynb"))) == 2


def test_the_page_tells_what_is_slow_near_its_limit_and_changed(tmp_path: Path) -> None:
    folder = crafted(tmp_path, 4, failing=1, timeout_s=4.0)  # rows take 1.5, 2.5, 3.5, 1.5 s
    row_ids = [row["row_id"] for row in folder.plan()["rows"]]
    folder.note(row_ids[0], "passed", duration_s=1.0)
    text = index_page(look(folder))
    slowest, near, changed = (text.split(f'<th scope="row">{head}</th>')[1].split("</tr>")[0] for head in (
        "Slowest", "Near the time limit", "Changed since it ran before"))  # fmt: skip
    assert slowest.index(row_ids[2]) < slowest.index(row_ids[1]) < slowest.index(row_ids[0])
    assert row_ids[2] in near and row_ids[1] not in near
    assert f"{row_ids[0]}</a> (failed → passed)" in changed and row_ids[1] not in changed


@pytest.mark.parametrize(
    ("failing", "allowed", "unmet", "changes", "code"),
    [
        (0, 0, [], {}, 0), (2, 1, [], {}, 1), (2, 2, [], {}, 0), (2, 2, ["accuracy > 1"], {}, 3), (1, 0, ["accuracy > 1"], {}, 1),
        (0, 0, [], {"stopped": "the budget of 1 s is used up"}, 5), (2, 0, [], {"interrupted": True, "stopped": "interrupted"}, 130),
    ],
)  # fmt: skip
def test_an_end_is_judged_by_failures_requirements_and_stops(
    tmp_path: Path, failing: int, allowed: int, unmet: list[str], changes: dict[str, object], code: int
) -> None:
    runner = SimpleNamespace(**{"interrupted": False, "stopped": "", "waiting": [], **changes})
    assert _judged(runner, look(crafted(tmp_path, 3, failing=failing)), unmet, allowed)[0] == code  # type: ignore[arg-type]


def test_a_row_whose_process_broke_is_the_harness_s_fault(tmp_path: Path) -> None:
    runner = SimpleNamespace(interrupted=False, stopped="", waiting=[])
    assert _judged(runner, look(crafted(tmp_path, 2, status="error")), [], 0)[0] == 4  # type: ignore[arg-type]


def test_an_edited_input_makes_its_rows_stale_and_is_named(tmp_path: Path) -> None:
    notebook = written(tmp_path, "pass", parameters='data_file: str = "a.csv"\nseed: int = 0')
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("1,2")
    grid = {"axes": {"data_file": ["a.csv", "b.csv"]}, "inputs": ["data_file"]}
    before = [make_plan(notebook, grid).fingerprint(row) for row in make_plan(notebook, grid).rows]
    (tmp_path / "b.csv").write_text("1,3")
    (tmp_path / "a.csv").touch()
    after = make_plan(notebook, grid)
    from workbench.batch._identity import why_stale

    assert [why_stale(was, after.fingerprint(row)) for was, row in zip(before, after.rows)] == [
        "",
        "input b.csv changed",
    ]


def test_seeds_follow_from_the_base_seed_and_the_point(tmp_path: Path) -> None:
    notebook = written(tmp_path, "pass", parameters=PARAMETERS)
    grid = {"axes": {"bits": [2, 4]}, "include": [{"bits": 8, "seed": 5}], "base_seed": 7}
    seeds = [row.given["seed"] for row in make_plan(notebook, grid).rows]
    assert seeds[2] == 5 and len(set(seeds)) == 3
    assert seeds == [row.given["seed"] for row in make_plan(notebook, grid).rows]
    others = [row.given["seed"] for row in make_plan(notebook, {**grid, "base_seed": 8}).rows]
    assert others[0] != seeds[0] and others[2] == 5


def test_only_stale_rows_can_be_asked_for(tmp_path: Path) -> None:
    folder = crafted(tmp_path, 3, failing=1)
    plan = make_plan(
        written(tmp_path, "1 + 1", parameters=PARAMETERS), [{"bits": 2 + n % 7, "seed": n} for n in range(3)]
    )
    found = sort_out(plan, folder, only="stale")
    assert [each.why for each in found.wanted] == ["source changed in cell 3"] * 2 and len(found.left_out) == 1
