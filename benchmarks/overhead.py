"""CPU seconds of a trivial job beyond its own steps, saving and measuring, once the parent is warm.

Bar: ≤ 0.1 s per run, as each run records it (`cpu_seconds.overhead`). What the worker's process took in all is asked from
the kernel beside it, so that nothing hides between the recorded pieces; so is what the submitter spent.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from _results import finish, median

from workbench import bench
from workbench.job import Job
from workbench.launch import _nursery_place
from workbench.nouns import Run
from workbench.store import Store

REPEATS = 20
SPAWNS = 3
TRIVIAL = {
    "model": {"use": "lenet_300_100", "hidden_1": 16, "hidden_2": 8},
    "data": "digits",
    "steps": [{"use": "train", "epochs": 1}],
    "metrics": ["size"],
}


def ended_children_seconds(pid: int) -> float:
    """Return the CPU seconds of all ended children of a process, theirs included."""
    fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def warmed_parent(run: Run) -> int | None:
    """Return the process id of the parent that forked this run's worker; None when it was spawned."""
    text = Path(run.folder, "launcher.json").read_text()
    return int(text.rpartition("process ")[2].strip('"}')) if '"fork"' in text else None


def main() -> None:
    print(f"forking: {_nursery_place.why_not_fork() or 'yes'}")
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        forked, spawned = (
            Job.from_json({**TRIVIAL, "launcher": {"use": "process", "start": start}}) for start in ("fork", "spawn")
        )
        parent = warmed_parent(bench.carry_out(forked, store))
        before = ended_children_seconds(parent) if parent else 0.0
        own = os.times()
        runs = [bench.carry_out(forked, store, again=True) for _ in range(REPEATS)]
        spent = os.times()
        whole = (ended_children_seconds(parent) - before) / REPEATS if parent else float("nan")
        same = {warmed_parent(run) for run in runs} == {parent}
        cold = [bench.carry_out(spawned, store, again=True) for _ in range(SPAWNS)]
    overheads = [run.cpu_seconds["overhead"] for run in runs]
    pieces = [sum(run.cpu_seconds.values()) - run.cpu_seconds["overhead"] for run in runs]
    figures = {
        "overhead": median(overheads),
        "overhead_mean": sum(overheads) / REPEATS,
        "overhead_spawned": median([run.cpu_seconds["overhead"] for run in cold]),
        "whole_worker": whole,
        "unrecorded": whole - sum(overheads) / REPEATS - sum(pieces) / REPEATS,
        "submitter": (spent.user + spent.system - own.user - own.system) / REPEATS,
        "pieces": {name: median([run.cpu_seconds.get(name, 0.0) for run in runs]) for name in runs[0].cpu_seconds},
    }
    finish(
        "overhead",
        {
            "overhead of a warm run is ≤ 0.1 CPU seconds": figures["overhead"] <= 0.1,
            "every worker was forked by the same warmed parent": same and parent is not None,
            "what is recorded is what was spent, within 0.1 s": abs(figures["unrecorded"]) <= 0.1,
        },
        summary=f"overhead {figures['overhead']:.3f} s forked, {figures['overhead_spawned']:.2f} s spawned; "
        f"whole worker {whole:.2f} s; submitter {figures['submitter']:.3f} s",
        figures=figures,
        samples={
            "overhead": overheads,
            "pieces": pieces,
            "overhead_spawned": [run.cpu_seconds["overhead"] for run in cold],
        },
    )


if __name__ == "__main__":
    main()
