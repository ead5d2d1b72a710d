"""A batch in parts: the same rows, each once, in lines that a shell or a Slurm array runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from batch_notebooks import called, written
from typer.testing import CliRunner

from workbench.batch._plan import make_plan, sort_out
from workbench.cli import app
from workbench.errors import InvalidInput

GOLDEN = """#!/bin/bash
#SBATCH --job-name=work
#SBATCH --array=1-2
#SBATCH --cpus-per-task=4
#SBATCH --mem=1000M
#SBATCH --time=11
#SBATCH --signal=TERM@30
#SBATCH --requeue
# A part that was ended early goes on where it was: submit this again. Afterwards: workbench batch collect OUT/part-* -o OUT/results.csv
eval "exec $(sed -n "${SLURM_ARRAY_TASK_ID}p" OUT/parts.txt)"
"""


def test_an_array_is_written_as_slurm_wants_it_and_its_lines_run(tmp_path: Path) -> None:
    notebook, out = written(tmp_path, "assert seed >= 0", parameters="seed: int = 0"), tmp_path / "out"
    limits = ("-j", "2", "--threads-per-job", "2", "--mem", "500M", "--timeout", "5m")
    done = called("script", notebook, "-p", "seed=1..5", "--out", out, "--parts", "2", *limits)
    assert done.returncode == 0, done.stderr
    assert (out / "array.sbatch").read_text().replace(str(out), "OUT") == GOLDEN
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "workbench").write_text(f'#!/bin/sh\nexec {sys.executable} -m workbench.cli "$@"\n')
    (commands / "workbench").chmod(0o755)
    place = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": "2"}
    ran = subprocess.run(["bash", out / "array.sbatch"], env=place, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert sorted(path.name for path in out.glob("part-*")) == ["part-2"]
    records = [json.loads(path.read_bytes()) for path in out.glob("part-2/rows/*/record.json")]
    assert sorted(record["params"]["seed"] for record in records) == [2, 4]


def test_every_row_is_in_one_part(tmp_path: Path) -> None:
    notebook, out = written(tmp_path, "pass", parameters="seed: int = 0"), tmp_path / "out"
    done = CliRunner().invoke(
        app, ["batch", "script", str(notebook), "-p", "seed=1..7", "--out", str(out), "--parts", "3"]
    )
    assert done.exit_code == 0, done.output
    found = [row.row_id for path in sorted(out.glob("grids/*.yaml")) for row in make_plan(notebook, path).rows]
    assert sorted(found) == sorted(row.row_id for row in make_plan(notebook, None, ["seed=1..7"]).rows)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [({}, [0, 3]), ({"force": True}, [0, 1, 2, 3]), ({"only": "failed"}, [0]), ({"only": "missing"}, [3]), ({"where": "seed > 0"}, [3]),
     ({"force": True, "where": "seed < 2"}, [0, 1])],
)  # fmt: skip
def test_what_is_to_be_done_can_be_narrowed(tmp_path: Path, choice: dict[str, object], expected: list[int]) -> None:
    from batch_folders import PARAMETERS, crafted

    folder = crafted(tmp_path, 4, failing=1)
    plan = make_plan(
        written(tmp_path, "pass", parameters=PARAMETERS), [{"bits": 2 + n % 7, "seed": n} for n in range(4)]
    )
    (folder.row(plan.rows[3].row_id) / "record.json").unlink()
    assert [each.row.values["seed"] for each in sort_out(plan, folder, **choice).wanted] == expected  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="no column 'sed'"):
        sort_out(plan, folder, where="sed > 1")
