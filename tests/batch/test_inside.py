"""What a notebook says to its batch: numbers, files, cached results, and time alone on the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.batch import artifacts, cached, record, table
from workbench.batch._compose import _recorded
from workbench.batch._problem import category, groups, problem, signature
from workbench.errors import InvalidInput

MEASURING = """
import sys, time
from workbench.batch import exclusive
with exclusive() as told:
    began = time.monotonic()
    time.sleep(0.3)
    ended = time.monotonic()
print(began, ended, told["load1"])
"""


@pytest.fixture
def row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_BATCH_ROW", str(tmp_path))
    monkeypatch.setenv("WORKBENCH_BATCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_a_recorded_number_is_on_disk_at_once(row: Path) -> None:
    record("accuracy", 0.95, unit="share", n=20, better="higher")
    told = json.loads((row / "recorded.jsonl").read_text())
    assert (told["name"], told["value"], told["n"], told["better"]) == ("accuracy", 0.95, 20, "higher")


@pytest.mark.parametrize(("name", "value"), [("two words", 1.0), ("word", "1"), ("truth", True)])
def test_what_is_no_metric_is_refused(row: Path, name: str, value: object) -> None:
    with pytest.raises(InvalidInput):
        record(name, value)  # type: ignore[arg-type]
    assert not (row / "recorded.jsonl").exists()


def test_outside_of_a_batch_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record("accuracy", 0.5)
    assert cached("key", lambda: 3) == 3 and list(tmp_path.iterdir()) == []


def test_a_table_is_a_file_of_the_row_and_said(row: Path) -> None:
    import pandas as pd

    table("per_class", pd.DataFrame({"digit": [0, 1], "accuracy": [0.9, 1.0]}))
    (told,) = _recorded(row).tables
    assert (told["name"], told["rows"], told["columns"]) == ("per_class", 2, ["digit", "accuracy"])
    assert (row / told["path"]).is_file() and told["path"].startswith("artifacts/per_class.")
    with pytest.raises(InvalidInput, match="two words"):
        table("two words", pd.DataFrame())


def test_half_a_line_of_a_killed_notebook_is_none(row: Path) -> None:
    record("accuracy", 0.5)
    record("accuracy", 0.6)
    with (row / "recorded.jsonl").open("a") as file:
        file.write('{"name": "accur')
    assert {name: each.value for name, each in _recorded(row).metrics.items()} == {"accuracy": 0.6}


def test_what_is_cached_is_made_once_for_each_key(row: Path) -> None:
    calls: list[str] = []
    for key in ("a", "b", "a"):
        assert cached(key, lambda key=key: calls.append(key) or {"made": key}) == {"made": key}  # type: ignore[misc]
    assert calls == ["a", "b"]
    kept = list((row / "cache").iterdir())
    assert kept and all(path.stat().st_mode & 0o077 == 0 for path in kept)


def test_files_go_into_the_folder_of_the_row(row: Path) -> None:
    (artifacts() / "table.txt").write_text("x")
    assert (row / "artifacts" / "table.txt").is_file()


def test_measurements_never_overlap() -> None:
    started = [subprocess.Popen([sys.executable, "-c", MEASURING], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    spans = sorted(tuple(map(float, process.communicate()[0].split()[:2])) for process in started)
    assert all(process.returncode == 0 for process in started)
    assert all(earlier[1] <= later[0] for earlier, later in zip(spans, spans[1:]))


@pytest.mark.parametrize(
    ("name", "message", "expected"),
    [
        ("AssertionError", "", "assertion"), ("ModuleNotFoundError", "No module named 'x'", "dependency"),
        ("OSError", "[Errno 28] No space left on device", "disk"), ("ConnectionError", "refused", "network"),
        ("RuntimeError", "[enforce fail] out of memory", "memory"), ("FileNotFoundError", "x.csv", "data"),
        ("KeyError", "'x'", "other"), ("InvalidInput", "", "parameters"), ("ReadTimeout", "", "timeout"),
    ],
)  # fmt: skip
def test_an_error_has_a_category(name: str, message: str, expected: str) -> None:
    assert category(name, message) == expected


def test_errors_are_the_same_when_they_differ_in_paths_numbers_and_addresses_only() -> None:
    told = ["no /a/b.csv at 0x7f01: 3 rows", "no /c/d/e.csv at 0x7fff: 12 rows", "no /a/b.csv at 0x7f01: 3 columns"]
    signatures = [signature("ValueError", each) for each in told]
    assert signatures[0] == signatures[1] != signatures[2]
    assert signature("KeyError", told[0]) != signatures[0]
    grouped = groups({str(number): problem("", each, name="ValueError") for number, each in enumerate(told)})
    assert [group["rows"] for group in grouped] == [["0", "1"], ["2"]]
