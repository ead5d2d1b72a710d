"""What the trade-off study costs beside its distinct steps and its measuring, and whether anything was trained twice.

Bars: all CPU seconds of the study ≤ 1.3 × (its distinct steps + measuring); no step is carried out twice.

    python benchmarks/study_cost.py [--store runs] [--study tradeoffs]

Reads the run records of the study in the store. Jobs that are missing are carried out first, in a store that is thrown away
when no --store is given; then the submitter's seconds are counted too.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import Any

from _results import finish

from workbench.job import digest
from workbench.nouns import Run
from workbench.store import Store
from workbench.study import carry_out_study, expand, read_study

BAR = 1.3
WORKERS = 2


def made(run: Run) -> Iterator[tuple[str, str, float]]:
    """Yield (key, words, CPU seconds) of each step that this run carried out; equal keys are the same piece of work."""
    job: Any = run.job
    for name, seconds in run.cpu_seconds.items():
        if not name.startswith("steps[") or name in run.cached or not seconds:
            continue
        number = int(name.removeprefix("steps[").partition("]")[0])
        _, _, nested = name.partition(" → ")
        led_here = [job["data"], job["seed"]]
        if nested:  # the teacher of a step: its own model, trained as that step asks
            led_here += [nested, {key: value for key, value in job["steps"][number].items() if isinstance(value, dict)}]
        else:
            led_here += [job["model"], job["steps"][: number + 1]]
        yield digest(led_here), f"{run.run_id} {name}", seconds


def share(runs: list[Run], beginning: str) -> float:
    """Return the CPU seconds of all pieces whose name begins so."""
    return sum(seconds for run in runs for name, seconds in run.cpu_seconds.items() if name.startswith(beginning))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store")
    parser.add_argument("--study", default="tradeoffs")
    arguments = parser.parse_args()
    study = read_study(arguments.study)
    own = 0.0
    with contextlib.ExitStack() as stack:
        store = Store(arguments.store or stack.enter_context(tempfile.TemporaryDirectory()))
        if any(store.find(job.job_id) is None for job in expand(study)):
            before = os.times()
            carry_out_study(study, store, workers=WORKERS, on_event=lambda progress: print(f"\r{progress.done}/{progress.total}", end="", flush=True))  # fmt: skip
            after = os.times()
            own = after.user + after.system - before.user - before.system
            print()
        found = [store.find(job.job_id) for job in expand(study)]
    runs = [run for run in found if run]
    keys = collections.defaultdict(list)
    for run in runs:
        for key, words, seconds in made(run):
            keys[key].append((seconds, words))
    twice = {key: pieces for key, pieces in keys.items() if len(pieces) > 1}
    steps = sum(max(pieces)[0] for pieces in keys.values())
    parts = {name: share(runs, name) for name in ("overhead", "load", "build", "save", "measure.")}
    total = own + sum(sum(run.cpu_seconds.values()) for run in runs)
    ratio = total / (steps + parts["measure."])
    finish(
        "study_cost",
        {
            f"every job of {study.name} is done ({len(runs)} of {len(found)})": len(runs) == len(found),
            f"CPU seconds ≤ {BAR} × (distinct steps + measuring): {ratio:.2f}": ratio <= BAR,
            f"no step was carried out twice ({len(twice)} were)": not twice,
        },
        summary=f"{study.name}: {total:.0f} CPU s = {ratio:.2f} × (steps {steps:.0f} s + measuring {parts['measure.']:.0f} s); "
        f"saving {parts['save']:.0f} s, overhead {parts['overhead']:.1f} s",
        figures={"total": total, "ratio": ratio, "distinct_steps": steps, "submitter": own, **parts,
                 "twice": {key: [words for _, words in pieces] for key, pieces in twice.items()}},
        samples={run.run_id: [sum(run.cpu_seconds.values())] for run in runs},
    )  # fmt: skip


if __name__ == "__main__":
    main()
