"""A batch goes on where it was left: after kill -9, after an edit, beside a second runner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import nbformat
import pytest
from batch_notebooks import called, command, processes_of, written

pytestmark = pytest.mark.slow  # together they take longer than `make check` may

PARAMETERS = "seed: int = 0"
COUNTED = "open('executed.txt', 'a').write(f'{seed}\\n')"
SLOW = "import time; time.sleep(seed * 100)"


def executed(folder: Path) -> list[str]:
    return (folder / "executed.txt").read_text().split()


def wait_for(condition, seconds: float = 60.0) -> None:  # noqa: ANN001
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A batch of two rows whose runner was killed in the second one, which waits for ever."""
    folder = tmp_path_factory.mktemp("killed")
    notebook, out = written(folder, COUNTED, SLOW, parameters=PARAMETERS), folder / "out"
    runner = subprocess.Popen(
        command("run", notebook, "-p", "seed=0,1", "--out", out, "-j", "1"), stderr=subprocess.DEVNULL
    )
    wait_for(lambda: (folder / "executed.txt").exists() and len(executed(folder)) == 2)
    refused = called("run", notebook, "-p", "seed=0,1", "--out", out)
    assert refused.returncode == 2 and f"process {runner.pid} on" in refused.stderr, refused.stderr
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    return folder


def test_a_killed_runner_leaves_nothing_running(killed: Path) -> None:
    wait_for(lambda: not processes_of(killed / "out"), 15)


def test_a_killed_batch_says_what_is_left(killed: Path) -> None:
    told = json.loads(called("status", killed / "out", "--json").stdout)
    assert told["counts"] == {"passed": 1, "not_run": 1} and told["runner"] is None


def test_resuming_executes_only_the_rest(killed: Path) -> None:
    notebook = killed / "work.ipynb"
    source = nbformat.read(notebook, as_version=4)
    source.cells[0].source = "# Another title: prose is no reason to do anything again"
    nbformat.write(source, notebook)
    done = called("run", "--resume", "--out", killed / "out", "--timeout", "4", "-j", "1")
    assert done.returncode == 1  # the second row never ends by itself
    assert executed(killed) == ["0", "1", "1"]
    assert not list((killed / "out" / "rows").glob(".*"))


def test_an_edited_cell_makes_results_stale_and_says_so(killed: Path) -> None:
    notebook = killed / "work.ipynb"
    source = nbformat.read(notebook, as_version=4)
    source.cells[3].source = "pass"
    nbformat.write(source, notebook)
    told = json.loads(called("status", killed / "out", "--json").stdout)
    assert [row["why"] for row in told["rows"] if row["state"] == "stale"] == ["source changed in cell 4"]
    again = called("run", "--resume", "--out", killed / "out", "-j", "2")
    assert again.returncode == 0, again.stderr
    assert "again: source changed in cell 4" in again.stderr and "again: was timeout" in again.stderr
    assert sorted(executed(killed)[3:]) == ["0", "1"]


def test_nothing_is_done_twice(killed: Path) -> None:
    before = executed(killed)
    assert called("run", "--resume", "--out", killed / "out").returncode == 0
    assert executed(killed) == before


def test_wrong_parameters_start_nothing(tmp_path: Path) -> None:
    notebook = written(tmp_path, COUNTED, parameters='seed: int = 0  # range: 0..9\nmode = "a"  # choices: a, b')
    grid = tmp_path / "grid.yaml"
    grid.write_text("axes: {sed: [1], seed: [10, x], mode: [c]}\nbsae: {}")
    refused = called("run", notebook, "--grid", grid, "--out", tmp_path / "out")
    assert refused.returncode == 2
    for said in (
        "'sed', did you mean 'seed'",
        "10 is outside 0 ≤ seed ≤ 9",
        "'x' is not a whole number",
        "'c' is not one of a, b",
        "'bsae'",
    ):
        assert said in refused.stderr
    assert not (tmp_path / "out").exists() and not (tmp_path / "executed.txt").exists()


def test_a_folder_of_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    refused = called("run", written(tmp_path, "pass", parameters=None), "--out", tmp_path)
    assert refused.returncode == 2 and "holds other things" in refused.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    refused = called("run", written(tmp_path, "pass", parameters=None), "--out", tmp_path / "locked" / "out")
    assert refused.returncode == 1 and "may not be written" in refused.stderr
