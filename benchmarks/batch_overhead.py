"""What a batch costs beside its notebooks, held against bare papermill, and whether its runner stays small.

Bars: 24 runs of a two-second notebook at -j 2 take at most 10 % more than half of what papermill takes one after the other, so
they end at least 1.8 times sooner; an empty notebook costs ≤ 0.3 CPU s; the runner grows by ≤ 50 MB over 500 trivial runs;
going on in a finished folder of 1,000 rows takes ≤ 3 CPU s, its page included; that page alone ≤ 1 CPU s.
Others use this machine too: papermill's turn is in two halves, one before the batch's and one after.

    python benchmarks/batch_overhead.py [rows] [folder] [side]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from _results import finish, median

from workbench.batch._folder import Folder
from workbench.batch._options import Options
from workbench.batch._plan import make_plan
from workbench.batch._record import Metric, read_record, write_record
from workbench.batch._runner import Runner
from workbench.batch.carry_out import Request, carry_out

NUM_SLEEPY, NUM_TRIVIAL, NUM_FINISHED, NUM_BARE, NUM_INDEXED = 24, 500, 1000, 5, 5
BYTES_PER_MB = 1_000_000
BYTES_OF_FIGURE = 4_000
BARE = """
import resource, sys, time
began = time.perf_counter()
from papermill import execute_notebook
for seed in range(int(sys.argv[3])):
    execute_notebook(sys.argv[1], sys.argv[2], {"seed": seed}, progress_bar=False, kernel_name="python3")
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(time.perf_counter() - began, sum(each.ru_utime + each.ru_stime for each in used))
"""


@dataclass
class Found:
    """What the parts found."""

    claims: dict[str, bool] = field(default_factory=dict)
    summary: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    samples: dict[str, list[Any]] = field(default_factory=dict)


def written(folder: Path, name: str, source: str) -> Path:
    """Write a notebook with a parameter `seed` and one cell."""
    head: dict[str, Any] = {"cell_type": "code", "execution_count": None, "outputs": []}
    cells = [
        {**head, "id": "parameters", "metadata": {"tags": ["parameters"]}, "source": "seed = 0"},
        {**head, "id": "work", "metadata": {}, "source": source},
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path = folder / name
    path.write_text(json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    return path


def bare(notebook: Path, count: int) -> tuple[float, float]:
    """Return (wall, CPU) seconds of papermill alone, in one process, one execution after the other."""
    command = [sys.executable, "-c", BARE, str(notebook), str(notebook.with_suffix(".out.ipynb")), str(count)]
    wall, cpu = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-2:]
    return float(wall), float(cpu)


def batch(notebook: Path, out: Path, count: int, memory: list[int]) -> float:
    """Return the wall seconds of a batch at -j 2; `memory` takes the runner's resident bytes after each row."""
    process, seen = psutil.Process(), [0]

    def tell(runner: Runner) -> None:
        if len(runner.ended) > seen[0]:
            seen[0] = len(runner.ended)
            memory.append(process.memory_info().rss)

    began = time.perf_counter()
    points = [{"seed": seed} for seed in range(1, count + 1)]
    done = carry_out(Request(out, notebook, points, options=Options(jobs=2)), tell=tell)
    assert done.exit_code == 0, done.why
    return time.perf_counter() - began


def finished(notebook: Path, out: Path) -> float:
    """Return the CPU seconds of `workbench batch run --resume` where 1,000 rows are done; they are made from one that ran."""
    folder = Folder(out)
    plan = make_plan(notebook, [{"seed": seed} for seed in range(1, NUM_FINISHED + 1)])
    pattern = read_record(folder.row(next(iter(folder.records()))))
    for number, row in enumerate(plan.rows):
        folder.row(row.row_id).mkdir(exist_ok=True)
        metrics = {
            "accuracy": Metric(value=0.5 + number % 499 / 1000, unit="share", n=900, lo=0.4, hi=0.99, better="higher"),
            "artifact_bytes": Metric(value=1000 + number * 37 % 1000, unit="bytes", better="lower"),
        }
        facts = {"row_id": row.row_id, "params": row.values, "fingerprint": plan.fingerprint(row), "metrics": metrics}
        write_record(folder.row(row.row_id), pattern.model_copy(update=facts))
        (folder.row(row.row_id) / "thumbnail.png").write_bytes(os.urandom(BYTES_OF_FIGURE))
    folder.write_plan(plan.to_json() | {"options": Options().to_json(), "require": []})
    command = [sys.executable, "-m", "workbench.cli", "batch", "run", "--resume", "--out", str(out), "--quiet"]
    before = os.times()
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    after = os.times()
    assert f"{NUM_FINISHED} passed; 0 executed now" in ended.stdout, ended.stdout
    return after.children_user + after.children_system - before.children_user - before.children_system


def indexed(out: Path) -> list[float]:
    """Return the CPU seconds of reading 1,000 rows and writing their page, with a chart of all of them; plotly is loaded before."""
    from workbench.batch.index import write_index  # loads NumPy: a process that has it starts kernels anew, forks none
    from workbench.batch.views import look

    took = []
    for _ in range(NUM_INDEXED + 1):
        began = time.process_time()
        write_index(look(Folder(out)))
        took.append(time.process_time() - began)
    return took[1:]


def ended_in(folder: Path, notebook: Path) -> float:
    """Return the wall seconds of the two-second notebooks as the command executes them, its own start and page included."""
    command = [sys.executable, "-m", "workbench.cli", "batch", "run", str(notebook), "-p", f"seed=1..{NUM_SLEEPY}"]
    began = time.perf_counter()
    subprocess.run([*command, "-j", "2", "--out", str(folder / "sleepy"), "--quiet"], check=True, capture_output=True)
    return time.perf_counter() - began


def rows(folder: Path, found: Found) -> None:
    """What an empty notebook costs, and how the runner grows over many."""
    empty, memory = written(folder, "empty.ipynb", "pass"), list[int]()
    batch(empty, folder / "trivial", NUM_TRIVIAL, memory)
    costs = [record.cpu_s for record in Folder(folder / "trivial").records().values()]
    bare_costs = [bare(empty, 1)[1] for _ in range(NUM_BARE)]
    growth = (max(memory) - memory[0]) / BYTES_PER_MB
    found.claims |= {
        "an empty notebook costs ≤ 0.3 CPU s": median(costs) <= 0.3,
        f"the runner grows by ≤ 50 MB over {NUM_TRIVIAL} runs": growth <= 50,
    }
    found.summary.append(f"empty {median(costs):.2f} against {median(bare_costs):.2f} CPU s, runner +{growth:.1f} MB")
    found.figures |= {
        "empty_cpu_s": median(costs), "papermill_empty_cpu_s": median(bare_costs), "growth_mb": growth,
    }  # fmt: skip
    found.samples |= {"empty_cpu_s": costs, "papermill_empty_cpu_s": bare_costs, "runner_bytes": memory}


def folder(folder: Path, found: Found) -> None:
    """What a finished folder of a thousand rows costs."""
    notebook = written(folder, "empty.ipynb", "pass")
    batch(notebook, folder / "finished", 1, [])
    resumed = finished(notebook, folder / "finished")
    pages = indexed(folder / "finished")
    found.claims |= {
        f"{NUM_FINISHED} finished rows are gone through in ≤ 3 CPU s": resumed <= 3.0,
        f"the page of {NUM_FINISHED} rows is written in ≤ 1 CPU s": median(pages) <= 1.0,
    }
    found.summary.append(f"resume {resumed:.2f}, page {median(pages):.2f} CPU s")
    found.figures |= {"resume_cpu_s": resumed, "page_cpu_s": median(pages)}
    found.samples["page_cpu_s"] = pages


def side(folder: Path, found: Found) -> None:
    """How much sooner a batch ends than papermill, one notebook after the other."""
    sleepy = written(folder, "sleepy.ipynb", "import time; time.sleep(2)")
    alone, _ = bare(sleepy, NUM_SLEEPY // 2)
    side_by_side = ended_in(folder, sleepy)
    alone += bare(sleepy, NUM_SLEEPY // 2)[0]
    faster, overhead = alone / side_by_side, side_by_side / (alone / 2) - 1
    found.claims |= {
        f"{NUM_SLEEPY} two-second notebooks at -j 2: ≤ 10 % over half of papermill's time": overhead <= 0.10,
        "≥ 1.8 × sooner than papermill one after the other": faster >= 1.8,
    }
    found.summary.append(f"{side_by_side:.0f} s against {alone:.0f} s ({faster:.2f} × sooner)")
    found.figures |= {"batch_s": side_by_side, "papermill_s": alone, "faster": faster, "overhead": overhead}


PARTS = {"rows": rows, "folder": folder, "side": side}  # rows first: nothing may be loaded before rows are forked


def main() -> None:
    """Measure the parts that are named, by default all of them."""
    wanted = [name for name in PARTS if name in (sys.argv[1:] or PARTS)]
    found = Found()
    with tempfile.TemporaryDirectory() as name:
        for part in wanted:
            Path(name, part).mkdir()
            PARTS[part](Path(name, part), found)
    finish(
        "batch_overhead", found.claims, summary=", ".join(found.summary), figures=found.figures, samples=found.samples
    )


if __name__ == "__main__":
    main()
