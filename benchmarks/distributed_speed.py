"""What a training over two processes costs beyond the work: against a DDP script by hand, beside independent processes, to start.

Bars: our data-parallel update ≤ 1.02 × that of a hand-written torchrun script, in turn in the same processes; weak scaling
≥ 0.90 of what independent processes reach; events cost ≤ 1 % of an update; submit → first update ≤ 8 s; cancel ≤ 3 s.
A tiny_lm of 17 million parameters, batch 8 on each process. The rounds are few by default: `--rounds 15` on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from _results import finish, median

from workbench import bench, scale
from workbench.cli._signals import ending_like_ctrl_c
from workbench.job import Job
from workbench.launch import _elastic, _order
from workbench.store import Store

MODEL = {"use": "tiny_lm", "layers": 8, "width": 384, "heads": 6, "ffn": 1344}
DATA = {"use": "python_source", "length": 128, "num_examples": 1000}
SMALL = {"use": "lenet_300_100", "hidden_1": 64, "hidden_2": 32}


def turns(rounds: int, updates: int, folder: Path) -> dict[str, list[float]]:
    wanted = {"model": MODEL, "data": DATA, "batch": 8, "rounds": rounds, "updates": updates}
    (folder / "wanted.json").write_text(json.dumps(wanted))
    worker = _elastic.here(replace(_order.order(folder, folder, 1), module="_ddp_turns"), 2, restarts=0)
    try:
        assert worker.wait() == 0, (folder / "log.txt").read_text()
    finally:
        worker.cancel()
    return json.loads((folder / "turns.json").read_text())


def spread(model: dict[str, Any], data: Any, **step: Any) -> Job:
    launcher = {"use": "torchrun", "nproc": 2}
    record = {
        "model": model,
        "data": data,
        "steps": [{"use": "train", **step}],
        "metrics": ["size"],
        "layout": "data_parallel",
    }
    return Job.from_json({**record, "launcher": launcher})


def start_and_cancel(store: Store, seed: int) -> tuple[float, float]:
    """Return seconds from submit to the first finished update, and from cancel to nobody being left."""
    job = Job.from_json({**spread(SMALL, "digits", epochs=5000).to_json(), "seed": seed})
    began = time.perf_counter()
    draft, worker = bench.submit(job, store)
    tail = bench.Tail(draft)
    try:
        while not any(event["kind"] == "progress" for event in tail.news()):
            time.sleep(0.01)
            assert worker.poll() is None, (draft / "log.txt").read_text()
        first = time.perf_counter() - began
        began = time.perf_counter()
    finally:  # also when this script is told to end
        worker.cancel(grace=30.0)
    return first, time.perf_counter() - began


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--updates", type=int, default=3)
    options.add_argument(
        "--disturbed", type=float, default=scale.DISTURBED, help="bar of a round's control; 100 keeps all"
    )
    given = options.parse_args()
    load = os.getloadavg()[0]
    with ending_like_ctrl_c(), tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "runs")
        taken = turns(given.rounds, given.updates, Path(folder))
        starts = [start_and_cancel(store, seed) for seed in range(3)]
        plan = scale.Plan((2,), given.rounds, given.updates, given.disturbed)
        scaled = scale.scale(spread(MODEL, DATA, batch_size=8), store, plan, say=print)
    (point,) = scaled["points"]
    ours = [mine / theirs for mine, theirs in zip(taken["ours"], taken["hand"])]
    events = [told / silent for told, silent in zip(taken["told"], taken["silent"])]
    weak = [mine / theirs for mine, theirs in zip(point["together"], point["independent"])]
    first, cancel = median([each[0] for each in starts]), median([each[1] for each in starts])
    efficiency = median(weak) if weak else float("nan")
    finish(
        "distributed_speed",
        {
            "our update ≤ 1.02 × a DDP script by hand": median(ours) <= 1.02,
            "events ≤ 1 % of an update": median(events) <= 1.01,
            "weak scaling ≥ 0.90 of what independent processes reach": efficiency >= 0.90,
            "submit → first update ≤ 8 s": first <= 8.0,
            "cancel ≤ 3 s": cancel <= 3.0,
        },
        summary=f"update {median(ours):.3f} × by hand, events {median(events):.3f} ×, weak scaling {efficiency:.2f} of the control in "
        f"{len(weak)} rounds ({point['thrown']} thrown), first update {first:.1f} s, cancel {cancel:.2f} s, load at the start {load:.1f}",
        figures={"ours_over_hand": median(ours), "events_over_silent": median(events), "weak_scaling": efficiency,
                 "first_update_s": first, "cancel_s": cancel, "load_at_start": load},
        samples={**taken, "together": point["together"], "independent": point["independent"],
                 "first_update_s": [each[0] for each in starts], "cancel_s": [each[1] for each in starts]},
    )  # fmt: skip


if __name__ == "__main__":
    main()
