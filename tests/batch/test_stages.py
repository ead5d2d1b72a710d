"""Several notebooks in a row, one after the other: one record, one folder, each parameter where it is declared."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from batch_notebooks import called, written

from workbench.batch._plan import make_plan
from workbench.batch._stages import given_to
from workbench.errors import InvalidInput

pytestmark = pytest.mark.slow  # each row starts two kernels

FIRST = "from workbench.batch import artifacts, record\n(artifacts() / 'made.txt').write_text(str(seed))\nrecord('made', seed)"
SECOND = """
from workbench.batch import artifacts, record
assert seed < 2, f"no good: {seed}"
record("twice", 2 * int((artifacts() / "made.txt").read_text()))
record("bits", bits)
"""


def two(folder: Path, *, second: str = "seed: int = 5\nbits: int = 8  # choices: 4, 8") -> Path:
    written(folder, SECOND, parameters=second, name="train.ipynb")
    return written(folder, FIRST, parameters="seed: int = 0  # range: 0..9", name="prepare.ipynb")


def test_a_row_executes_its_notebooks_in_order_and_is_one_record(tmp_path: Path) -> None:
    grid, out = tmp_path / "grid.yaml", tmp_path / "out"
    grid.write_text("{axes: {seed: [0, 1, 2]}, base: {bits: 4}, stages: [train.ipynb]}")
    done = called("run", two(tmp_path), "--grid", grid, "--out", out, "-j", "2")
    found = {path.parent: json.loads(path.read_bytes()) for path in out.glob("rows/*/record.json")}
    by_seed = {record["params"]["seed"]: (folder, record) for folder, record in found.items()}
    folder, passed = by_seed[1]
    assert {name: each["value"] for name, each in passed["metrics"].items()} == {"made": 1, "twice": 2, "bits": 4}
    assert sorted(path.name for path in folder.glob("out*")) == ["out-2-train.ipynb", "out.ipynb"]
    assert list(passed["sections"]) == ["prepare.ipynb: Work", "train.ipynb: Work"] and passed["start"] == "forked"
    _, failed = by_seed[2]
    assert done.returncode == 1 and "cell 3 of train.ipynb: AssertionError no good: 2" in done.stderr, done.stderr
    assert failed["error"]["notebook"] == "train.ipynb" and failed["metrics"]["made"]["value"] == 2
    page = (out / "index.html").read_text()
    assert "prepare.ipynb → train.ipynb" in page and "out-2-train.ipynb" in page and "--then" in page

    source = nbformat.read(tmp_path / "train.ipynb", as_version=4)
    source.cells[2].source += "\npass"
    nbformat.write(source, tmp_path / "train.ipynb")
    stale = json.loads(called("status", out, "--json").stdout)["rows"]
    assert [row["why"] for row in stale if row["state"] == "stale"] == ["source changed in cell 3 of train.ipynb"] * 2


def test_a_parameter_goes_to_all_that_declare_it_with_one_value(tmp_path: Path) -> None:
    plan = make_plan(two(tmp_path), None, ["bits=4"], [tmp_path / "train.ipynb"])
    (row,) = plan.rows
    assert row.values == {"seed": 0, "bits": 4} and row.row_id.startswith("bits=4-")
    assert given_to(plan.stages, row.given, row.values) == [{}, {"seed": 0, "bits": 4}]  # not its own default, 5


@pytest.mark.parametrize(
    ("second", "pairs", "said"),
    [
        ("seed: int = 0  # range: 0..3", ["seed=7"], "train.ipynb: seed: 7 is outside 0 ≤ seed ≤ 3"),
        ('seed: str = "a"', [], "seed is int in prepare.ipynb and str in train.ipynb"),
        ("bits: int = 8", ["bitz=4"], "unknown parameter 'bitz', did you mean 'bits'"),
    ],
)
def test_what_one_of_them_does_not_take_is_said_before_any_runs(
    tmp_path: Path, second: str, pairs: list[str], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said.replace("(", r"\(")):
        make_plan(two(tmp_path, second=second), {"stages": ["train.ipynb"]}, pairs)


def test_a_notebook_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        make_plan(two(tmp_path), {"stages": ["gone.ipynb", "lost.ipynb"]})
    assert [problem.rpartition("/")[2] for problem in caught.value.problems] == ["gone.ipynb", "lost.ipynb"]
