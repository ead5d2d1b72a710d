"""How far are plans off? Small trainings over 2 and 4 processes are measured here, and held against what was expected of them.

State bytes are counted on every process; an update's time is that of rounds whose control (independent processes) was not
disturbed. `--disturbed 1.1` is what a quiet machine allows; a busy one keeps no round at that.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from _results import finish  # noqa: E402

from workbench import ceilings, scale  # noqa: E402
from workbench.job import Job  # noqa: E402
from workbench.part_text import part_record  # noqa: E402
from workbench.plan import calibration  # noqa: E402
from workbench.store import Store  # noqa: E402

MODEL = {"use": "tiny_lm", "layers": 4, "width": 256, "heads": 4}
DATA = {"use": "python_source", "length": 64, "num_examples": 256}
LAYOUTS = {  # text of the layout → processes
    "data_parallel": (2, 4), "hybrid shard=2": (2,), "hybrid tensor=2": (2,), "pipeline microbatches=4": (2,),
    "hybrid shard=2 tensor=2": (4,),
}  # fmt: skip


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--updates", type=int, default=10)
    asked.add_argument("--disturbed", type=float, default=scale.DISTURBED)
    options = asked.parse_args()
    ceilings.obtain_elsewhere()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "runs")
        for text, processes in LAYOUTS.items():
            record = {
                "model": MODEL, "data": DATA, "steps": [{"use": "train", "batch_size": 8}], "layout": part_record("layout", text),
            }  # fmt: skip
            plan = scale.Plan(processes, options.rounds, options.updates, options.disturbed)
            scale.scale(Job.from_json(record), store, plan, say=lambda told, text=text: print(text, told, flush=True))
        compared = calibration.compare(scale.kept(store))
    for each in compared:
        print(each.to_json(), flush=True)
    state = {f"{each.title} on {each.processes}": each.state_error for each in compared}
    times = {f"{each.title} on {each.processes}": each.time_error for each in compared if each.time_error is not None}
    worst, slowest = max(map(abs, state.values())), max(map(abs, times.values()), default=float("nan"))
    middle = statistics.median(map(abs, times.values())) if times else float("nan")
    finish(
        "plan_error",
        {
            f"state bytes off by {worst:.2%} at most ≤ {calibration.STATE_BAR:.0%}": worst <= calibration.STATE_BAR,
            f"an update's time off by {slowest:.0%} at most ≤ {calibration.TIME_BAR:.0%}": slowest
            <= calibration.TIME_BAR,
        },
        summary=f"{len(state)} layouts: state off by {worst:.2%} at most, time by {middle:.0%} in the median and {slowest:.0%} at most",
        figures={"state_error": state, "time_error": times},
        samples={
            each.title + f" on {each.processes}": [each.seconds_planned, each.seconds_measured] for each in compared
        },
    )


if __name__ == "__main__":
    main()
