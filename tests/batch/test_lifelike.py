"""What else happens to batches: attempts, budgets, full disks, notebooks without parameters, pages that open offline."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from batch_notebooks import called, command, processes_of, written

from workbench.batch._client import MOST_PRINTED

pytestmark = pytest.mark.slow  # together they take longer than `make check` may

SEED = "seed: int = 0"
FLAKY = """
import pathlib
tries = pathlib.Path(f"tries-{seed}")
tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
if len(tries.read_text()) < 3:
    raise ConnectionError("try again")
"""
PLOTLY = """
import plotly.graph_objects as go
go.Figure(go.Scatter(y=[1, 3, 2]), {"meta": {"alt": "three points"}})
"""
COUNTED = """
from workbench.batch import artifacts, cached
made = cached("slow", lambda: open("made.txt", "a").write("x"))
(artifacts() / "kept.txt").write_text("kept")
"""


TAKES_TURNS = """
import json, os, time
from workbench.batch import exclusive, record
if seed == 0:
    while not os.path.exists("ticking"):
        time.sleep(0.01)
    with exclusive() as told:
        began = time.monotonic()
        time.sleep(1.0)
        span = [began, time.monotonic()]
    record("load", told["load1"], measured_alone=told["measured_alone"])
else:
    span = [time.monotonic()]
    open("ticking", "w").close()
    while not os.path.exists("span-0.json"):
        time.sleep(0.005)
        span.append(time.monotonic())
    span.append(time.monotonic())
json.dump(span, open(f"span-{seed}.json", "w"))
"""


def records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(out.glob("rows/*/record.json"))]


def test_what_may_go_away_by_itself_is_tried_again_and_every_attempt_kept(tmp_path: Path) -> None:
    notebook = written(tmp_path, FLAKY, parameters=SEED)
    done = called("run", notebook, "--out", tmp_path / "out", "--retries", "2", "--json-events")
    assert done.returncode == 0, done.stderr
    (record,) = records(tmp_path / "out")
    assert [attempt["status"] for attempt in record["attempts"]] == ["failed", "failed", "passed"]
    kept = tmp_path / "out" / "rows" / record["row_id"] / "attempts"
    assert sorted(path.parent.name for path in kept.glob("*/out.html")) == ["1", "2"]
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["kind"] for event in events] == ["planned", "started", "started", "started", "ended", "finished"]
    assert events[-1]["exit_code"] == 0


def test_other_errors_are_not_tried_again_and_failures_can_end_a_batch(tmp_path: Path) -> None:
    notebook = written(tmp_path, "raise ValueError(seed)", parameters=SEED)
    done = called(
        "run", notebook, "-p", "seed=0..5", "--out", tmp_path / "out", "--retries", "3", "--fail-fast", "-j", "1"
    )
    assert done.returncode == 5 and "1 rows failed, more than 0" in done.stderr
    assert [len(record["attempts"]) for record in records(tmp_path / "out")] == [1]


def test_a_budget_ends_a_batch_and_a_requirement_judges_it(tmp_path: Path) -> None:
    source = "import time\nfrom workbench.batch import record\nrecord('score', 0.9)\nif seed: time.sleep(1000)"
    notebook, out = written(tmp_path, source, parameters=SEED), tmp_path / "out"
    done = called("run", notebook, "-p", "seed=0,1,2", "--out", out, "-j", "1", "--budget", "12s")
    assert done.returncode == 5 and "the budget of 12 s is used up" in done.stderr
    assert [record["status"] for record in records(out)] == ["passed", "cancelled"]
    only = called(
        "run", notebook, "-p", "seed=0", "--out", out, "--require", "score >= 0.95", "--junit", tmp_path / "j.xml"
    )
    assert only.returncode == 3 and "score >= 0.95: not met by defaults-" in only.stderr
    assert "not met" in (tmp_path / "j.xml").read_text()


def test_an_interrupted_runner_says_130_and_keeps_its_state(tmp_path: Path) -> None:
    notebook, out = written(tmp_path, "import time; time.sleep(1000)", parameters=SEED), tmp_path / "out"
    runner = subprocess.Popen(command("run", notebook, "--out", out), stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not any(out.glob("rows/.draft-*/progress.jsonl")):
        assert time.monotonic() < until
        time.sleep(0.05)
    runner.send_signal(signal.SIGINT)
    _, said = runner.communicate(timeout=60)
    assert runner.returncode == 130 and f"workbench batch run --resume --out {out}" in said
    assert records(out)[0]["status"] == "cancelled" and processes_of(out) == []


def test_other_rows_are_paused_while_one_measures(tmp_path: Path) -> None:
    notebook = written(tmp_path, TAKES_TURNS, parameters=SEED)
    done = called("run", notebook, "-p", "seed=0,1", "--out", tmp_path / "out", "-j", "2", "--timeout", "60")
    assert done.returncode == 0, done.stderr
    began, ended = json.loads((tmp_path / "span-0.json").read_text())
    ticks = json.loads((tmp_path / "span-1.json").read_text())
    assert ticks[0] < began and ticks[-1] > ended, "they didn't run side by side"
    assert not [tick for tick in ticks if began < tick < ended]
    measured = records(tmp_path / "out")[0]
    assert measured["measured_alone"] in (True, False)  # others may use this machine, too
    assert set(measured["exclusive"][0]) == {"measured_alone", "load1", "other_cpu", "governor"}


def test_a_cell_has_a_limit_of_its_own(tmp_path: Path) -> None:
    notebook = written(tmp_path, "print('kept')", "import time; time.sleep(1000)", parameters=SEED)
    done = called("run", notebook, "--out", tmp_path / "out", "--cell-timeout", "3s", "--timeout", "10m")
    (record,) = records(tmp_path / "out")
    assert done.returncode == 1 and record["status"] == "timeout" and record["error"]["cell"] == 4
    assert "at the limit of 3 s for one cell" in record["error"]["message"]


def test_a_notebook_without_parameters_runs_once_and_takes_none(tmp_path: Path) -> None:
    notebook = written(tmp_path, PLOTLY, parameters=None)
    refused = called("run", notebook, "-p", "seed=1", "--out", tmp_path / "out")
    assert refused.returncode == 2 and "no cell tagged `parameters`" in refused.stderr
    done = called("run", notebook, "--out", tmp_path / "out", "--pages", "all", "--cold")
    assert done.returncode == 0, done.stderr
    (record,) = records(tmp_path / "out")
    assert record["row_id"].startswith("defaults-") and "--cold" in record["start"]
    page = (tmp_path / "out" / "rows" / record["row_id"] / "out.html").read_text()
    assert "three points" in page and "Plotly.newPlot" in page and "default-src 'none'" in page


def test_endless_output_is_cut_and_said(tmp_path: Path) -> None:
    notebook = written(tmp_path, "for _ in range(1000): print('x' * 100_000)\nprint('end')", parameters=None)
    assert called("run", notebook, "--out", tmp_path / "out", "--mem", "1G").returncode == 0
    (executed,) = (tmp_path / "out").glob("rows/*/out.ipynb")
    text = executed.read_text()
    assert MOST_PRINTED < len(text) < 1.01 * MOST_PRINTED and "… 90.0 million more characters" in text


def test_a_resumed_row_finds_what_it_cached_and_keeps_its_files(tmp_path: Path) -> None:
    notebook, out = written(tmp_path, COUNTED, "assert open('go.txt')", parameters=SEED), tmp_path / "out"
    assert called("run", notebook, "--out", out).returncode == 1
    (tmp_path / "go.txt").touch()
    assert called("run", "--resume", "--out", out).returncode == 0
    assert (tmp_path / "made.txt").read_text() == "x"
    (record,) = records(out)
    assert record["artifacts"] == [
        {"path": "artifacts/kept.txt", "sha256": record["artifacts"][0]["sha256"], "bytes": 4}
    ]


@contextlib.contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True).returncode
    ):
        pytest.skip("nobody may mount a disk here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_said_and_nothing_goes_on_running(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk", "size=200k") as disk:
        filling = "from workbench.batch import artifacts\n(artifacts() / 'big').write_bytes(b'x' * 1_000_000)"
        done = called("run", written(tmp_path, filling, parameters=SEED), "--out", disk / "out", "-p", "seed=1,2")
        assert done.returncode in (1, 4) and "Traceback" not in done.stderr, done.stderr
        assert "full" in done.stderr or "No space left" in done.stderr
        assert processes_of(disk) == []


def test_a_disk_that_may_not_be_written_is_said_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk", "ro") as disk:
        done = called("run", written(tmp_path, "pass", parameters=SEED), "--out", disk / "out")
        assert done.returncode == 1 and "is read-only" in done.stderr and "Traceback" not in done.stderr, done.stderr


@pytest.mark.slow
def test_the_runner_stays_small_over_sixty_rows(tmp_path: Path) -> None:
    notebook, out = written(tmp_path, "pass", parameters=SEED), tmp_path / "out"
    runner = subprocess.Popen(
        command("run", notebook, "-p", "seed=1..60", "--out", out, "-j", "2", "--json-events"),
        stdout=subprocess.PIPE,
        text=True,
    )
    watched, sizes = psutil.Process(runner.pid), []
    assert runner.stdout
    for line in runner.stdout:
        if json.loads(line)["kind"] == "ended":
            sizes.append(watched.memory_info().rss)
    assert runner.wait() == 0 and len(sizes) == 60
    assert max(sizes) - sizes[0] < 20_000_000  # the benchmark goes on to 500
