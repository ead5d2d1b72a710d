"""What one does with a batch afterwards: collect, aggregate, clean, hand to CI; and batches from Python."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from batch_folders import crafted
from batch_notebooks import command, written
from typer.testing import CliRunner

from workbench import batch
from workbench.batch._outputs import summary, write_junit
from workbench.batch.carry_out import _requirements
from workbench.batch.views import look
from workbench.cli import app
from workbench.errors import InvalidInput


def told(*words: object) -> str:
    done = CliRunner().invoke(app, ["batch", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_frame_keeps_types_and_knows_the_front(tmp_path: Path) -> None:
    frame = batch.load(crafted(tmp_path, 6, failing=1).path).df
    assert str(frame["param.bits"].dtype) == "Int64" and str(frame["metric.accuracy"].dtype) == "Float64"
    assert str(frame["param.name"].dtype) == "string" and frame["metric.accuracy"].isna().sum() == 1
    assert frame.attrs["front"] and set(frame.attrs["front"]) <= set(frame["meta.row_id"])


def test_seeds_are_summed_up_with_their_interval(tmp_path: Path) -> None:
    frame = batch.load(crafted(tmp_path, 14).path).df
    found = batch.aggregate(frame, by=["bits"])
    first = found[found["param.bits"] == 2].iloc[0]
    assert first["metric.accuracy.n"] == 2 and first["metric.accuracy.mean"] == pytest.approx((0.50 + 0.57) / 2)
    half = 12.706 * first["metric.accuracy.sd"] / 2**0.5  # t of one degree of freedom
    assert first["metric.accuracy.hi"] - first["metric.accuracy.mean"] == pytest.approx(half, rel=1e-3)


def test_what_would_mix_other_parameters_is_refused(tmp_path: Path) -> None:
    frame = batch.load(crafted(tmp_path, 14).path).df
    with pytest.raises(InvalidInput, match="also differ in param.bits"):
        batch.aggregate(frame, by=["name"])


def test_batches_are_collected_with_their_name(tmp_path: Path) -> None:
    folders = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        folders.append(crafted(tmp_path / name, 2).path)
    told("collect", *folders, "-o", tmp_path / "all.csv")
    lines = (tmp_path / "all.csv").read_text().splitlines()
    assert len(lines) == 5 and "meta.batch" in lines[0]


def test_junit_is_read_by_a_parser(tmp_path: Path) -> None:
    found = look(crafted(tmp_path, 3, failing=1))
    write_junit(found, tmp_path / "junit.xml", unmet=["accuracy > 1: not met by a"])
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()[0]
    assert [suite.attrib[name] for name in ("tests", "failures", "errors", "skipped")] == ["4", "2", "0", "0"]
    assert "no <b>file</b>" in suite.find("testcase/failure").attrib["message"]  # type: ignore[union-attr]


def test_a_summary_is_markdown_with_front_and_errors(tmp_path: Path) -> None:
    text = summary(look(crafted(tmp_path, 5, failing=2)))
    assert text.startswith("## work.ipynb: 3 passed, 2 failed") and "| row | latency_ms_p50 | accuracy |" in text
    assert "**2 × ValueError**" in text


@pytest.mark.parametrize(
    ("requirement", "unmet"),
    [("accuracy >= 0.5", 0), ("accuracy>0.51", 1), ("speed > 1", 1), ("accuracy > 0.9 or latency_ms_p50 < 99", 0)],
)
def test_a_requirement_holds_for_every_row_or_is_not_met(tmp_path: Path, requirement: str, unmet: int) -> None:
    assert len(list(_requirements([requirement])(look(crafted(tmp_path, 4))))) == unmet


def test_cleaning_keeps_records_and_what_it_is_told_to_keep(tmp_path: Path) -> None:
    folder = crafted(tmp_path, 6)
    for row_id in folder.records():
        (folder.row(row_id) / "out.ipynb").write_text("{}")
    said = told("clean", folder.path, "--keep-front")
    assert "--yes" in said and len(list(folder.rows.glob("*/out.ipynb"))) == 6
    told("clean", folder.path, "--keep-front", "--yes")
    kept = {path.parent.name for path in folder.rows.glob("*/out.ipynb")}
    assert kept == set(batch.load(folder.path).df.attrs["front"]) and len(folder.records()) == 6


def test_two_rows_are_held_against_each_other(tmp_path: Path) -> None:
    a, b = list(crafted(tmp_path, 2).records())
    said = told("diff", tmp_path / "out", a, b)
    assert "seed" in said and "accuracy" in said and "name" not in said


def test_a_batch_from_python_refuses_what_is_wrong(tmp_path: Path) -> None:
    notebook = written(tmp_path, "pass", parameters="seed: int = 0")
    with pytest.raises(InvalidInput, match="did you mean 'seed'"):
        batch.run(notebook, {"axes": {"sed": [1]}}, tmp_path / "out")
    with pytest.raises(InvalidInput, match="unknown option 'job'"):
        batch.run(notebook, None, tmp_path / "out", job=1)
    assert not (tmp_path / "out").exists()


def test_a_batch_from_python_returns_its_table(tmp_path: Path) -> None:
    source = "from workbench.batch import record\nrecord('double', 2 * seed)"
    found = batch.run(written(tmp_path, source, parameters="seed: int = 0"), [{"seed": 4}], tmp_path / "out")
    assert list(found.df["metric.double"]) == [8.0] and found.index_path.is_file() and found.failures == []


def test_stop_keeps_what_is_finished_and_retry_takes_up_what_failed(tmp_path: Path) -> None:
    source = "import pathlib, time\nif seed and not pathlib.Path('go').exists():\n    time.sleep(1000)"
    notebook, out = written(tmp_path, source, parameters="seed: int = 0"), tmp_path / "out"
    runner = subprocess.Popen(
        command("run", notebook, "-p", "seed=0,1,2", "--out", out, "-j", "1", "--quiet"), stderr=subprocess.PIPE
    )
    until = time.monotonic() + 60
    while not out.is_dir() or not any(out.glob("rows/.draft-seed=1*/progress.jsonl")):
        assert time.monotonic() < until
        time.sleep(0.05)
    told("stop", out, "--now")
    assert runner.wait(30) == 5
    counts = json.loads(told("status", out, "--json"))["counts"]
    assert counts == {"passed": 1, "cancelled": 1, "not_run": 1}
    (tmp_path / "go").touch()
    again = subprocess.run(
        [sys.executable, "-m", "workbench.cli", "batch", "retry", out], capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr
    assert json.loads(told("status", out, "--json"))["counts"] == {"passed": 2, "skipped": 1}
