"""What every lesson takes: its whole solution, and its short version, in seconds and memory.

Bars: whole ≤ 120 s, short ≤ 25 s, kernel ≤ 1 GB (10^9 bytes), every check passed. Seconds are CPU seconds of everything that a lesson starts, since a
shared machine makes the clock meaningless; the clock is kept beside them. Then the students' editions, one nbval each.

    python benchmarks/workshop.py [--lessons 01 07] [--fast-only]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import uuid
from pathlib import Path
from typing import Any

import psutil
from _results import finish

from workbench.lessons import build, catalog, rehearsal
from workbench.lessons.exercise import Lesson
from workbench.lessons.progress import Progress

WHOLE_SECONDS, SHORT_SECONDS, MOST_BYTES = 120.0, 25.0, 1e9
MARK = "WORKBENCH_BENCHMARK"


class Family(threading.Thread):
    """Adds up the CPU seconds of all processes that were started with our mark, wherever they hang in the tree."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.mark, self.seconds, self.done = uuid.uuid4().hex, dict[int, float](), threading.Event()
        self.is_ours = {os.getpid(): False}

    def run(self) -> None:
        while not self.done.wait(0.2):
            for process in psutil.process_iter():
                try:
                    if process.pid not in self.is_ours:
                        self.is_ours[process.pid] = process.environ().get(MARK) == self.mark
                    if self.is_ours[process.pid]:
                        times = process.cpu_times()
                        self.seconds[process.pid] = times.user + times.system
                except psutil.Error:
                    continue


def measured(lesson: Lesson, folder: Path, *, fast: bool) -> dict[str, Any]:
    """Run one solution in a folder of its own; nothing is trained already."""
    family = Family()
    os.environ |= {
        MARK: family.mark,
        "WORKBENCH_NURSERY": str(folder / "nursery"),
        "WORKBENCH_NURSERY_IDLE_SECONDS": "2",
    }
    family.start()
    (found,) = rehearsal.rehearse([lesson], folder, fast=fast)
    family.done.set()
    family.join()
    kept = Progress(folder / "notebooks" / "workshop" / "progress.json").record()["exercises"]
    return {
        "seconds": found.seconds, "cpu_seconds": round(sum(family.seconds.values()), 1), "memory_bytes": found.memory_bytes,
        "passed": all(kept[each.id]["verdict"] == "ok" for each in lesson.exercises), "slow_cells": found.slow_cells,
    }  # fmt: skip


def student_runs(lesson: Lesson) -> bool:
    """Say whether the edition that learners get runs untouched, by an nbval of its own."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "notebooks", "workshop")
        build.write(lesson, "student", folder)
        words = ["-m", "pytest", "--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider", "-p", "no:xdist", "-q"]
        words += [f"--rootdir={folder}", "-c", os.devnull, str(build.notebook_path(lesson, "student", folder))]
        return subprocess.run([sys.executable, *words], cwd=folder, stdout=subprocess.DEVNULL).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lessons", nargs="*")
    parser.add_argument("--fast-only", action="store_true")
    arguments = parser.parse_args()
    lessons = [catalog.lesson(each) for each in arguments.lessons or [each.number for each in catalog.lessons()]]
    figures: dict[str, Any] = {}
    claims: dict[str, bool] = {}
    for lesson in lessons:
        for fast in (True,) if arguments.fast_only else (True, False):
            with tempfile.TemporaryDirectory() as place:
                told = measured(lesson, Path(place), fast=fast)
            name, most = ("short", SHORT_SECONDS) if fast else ("whole", WHOLE_SECONDS)
            figures[f"{lesson.number} {name}"] = told
            claims[f"{lesson.number} {name}: {told['cpu_seconds']:.0f} CPU s ≤ {most:.0f} (clock {told['seconds']:.0f} s), "
                   f"{told['memory_bytes'] / 1e9:.2f} GB ≤ 1, every check passed"] = (
                told["cpu_seconds"] <= most and 0 < told["memory_bytes"] <= MOST_BYTES and told["passed"]
            )  # fmt: skip
            print(list(claims)[-1], flush=True)
        if not arguments.fast_only:
            claims[f"{lesson.number}: the students' edition runs untouched"] = student_runs(lesson)
    finish(
        "workshop", claims,
        summary=f"{len(lessons)} lessons: at most {max(each['cpu_seconds'] for each in figures.values()):.0f} CPU s, "
        f"{max(each['seconds'] for each in figures.values()):.0f} s by the clock, "
        f"{max(each['memory_bytes'] for each in figures.values()) / 1e9:.2f} GB",
        figures=figures, samples={name: [each["cpu_seconds"], each["seconds"]] for name, each in figures.items()},
    )  # fmt: skip


if __name__ == "__main__":
    main()
