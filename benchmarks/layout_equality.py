"""Does every legal layout on 2 to 8 processes train what one process trains, and is a real training as good?

Bars: in float64, over six updates of one global batch (the last one uneven), losses and trained weights of two model families
differ from those of one process by ≤ 1e-10, for every product of axes, schedule and placement of tokens that isn't refused; and
in float32 the test answers of models trained under a layout can't be told apart, over all seeds, from those trained by one process.

    python benchmarks/layout_equality.py [--processes 2,3,4,5,6,7,8] [--recompute] [--seeds 3] [--epochs 10]

`--recompute` takes each layout a second time with activations computed anew. Layouts of one number of processes run in turn in
one set of them; what stopped a set counts as a failure of all that it had not done.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _results import finish

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.distributed.training import BATCH, DATA, LM, VIT, Told, together, train  # noqa: E402
from workbench import bench, catalog, compare  # noqa: E402
from workbench.compare import _samples  # noqa: E402
from workbench.job import Job  # noqa: E402
from workbench.nouns import Run  # noqa: E402
from workbench.store import Store  # noqa: E402

BAR = 1e-10
SCHEDULES = (("GPipe", 1), ("1F1B", 1), ("Interleaved1F1B", 2))
TRAINED: tuple[tuple[Any, int], ...] = (
    ({"use": "data_parallel"}, 2), ({"use": "sharded"}, 2), ({"use": "hybrid", "shard": 2, "tensor": 2}, 4),
)  # fmt: skip


def products(processes: int, *, recompute: bool) -> list[dict[str, Any]]:
    """Return every record of a layout on so many processes, legal or not."""
    sizes = range(1, processes + 1)
    axes = [each for each in itertools.product(sizes, repeat=4) if np.prod(each) == processes]
    found: list[dict[str, Any]] = [{"use": "data_parallel", "accumulate": number} for number in (1, 3)]
    found += [{"use": "sharded", "accumulate": 3}]
    for (replicate, shard, tensor, pipeline), (schedule, stages), tokens, again in itertools.product(
        axes, SCHEDULES, (False, True), (False, True) if recompute else (False,)
    ):
        if pipeline == 1 and schedule != "1F1B":
            continue  # a schedule of nothing
        found.append({
            "use": "hybrid", "replicate": replicate, "shard": shard, "tensor": tensor, "pipeline": pipeline,
            "schedule": schedule, "stages_per_process": stages, "microbatches": 4 if pipeline > 1 else 1,
            "sequence_parallel": tokens, "recompute": again,
        })  # fmt: skip
    return found


def legal(model: dict[str, Any], processes: int, *, recompute: bool) -> list[dict[str, Any]]:
    data: Any = catalog.make("data", DATA[model["use"]])
    zoo: Any = catalog.make("zoo", model)
    card = zoo.card(data.card())
    made: list[Any] = [catalog.make("layout", each) for each in products(processes, recompute=recompute)]
    return [each.to_json() for each in made if not each.why_not(card, num_processes=processes, batch_size=BATCH)]


def largest(one: Told, many: Told) -> float:
    """Return the largest difference of a loss or a weight."""
    if len(one.losses) != len(many.losses) or one.weights.keys() != many.weights.keys():
        return float("inf")
    weights = max(float(np.abs(one.weights[key] - many.weights[key]).max()) for key in one.weights)
    return max(weights, float(np.abs(np.array(one.losses) - np.array(many.losses)).max()))


def words(record: dict[str, Any]) -> str:
    kept = [f"{name}={value}" for name, value in record.items() if name != "use" and value not in (1, False, "1F1B")]
    return " ".join([record["use"], *kept])


def equality(processes: int, folder: Path, *, recompute: bool) -> dict[str, float]:
    """Return the largest difference of each legal layout, by model and layout."""
    alone = {model["use"]: train({"model": model}) for model in (LM, VIT)}
    cases = {
        f"{number}": {"model": model, "layout": layout}
        for number, (model, layout) in enumerate(
            (model, layout) for model in (LM, VIT) for layout in legal(model, processes, recompute=recompute)
        )
    }
    names = {key: f"{processes}: {case['model']['use']} {words(case['layout'])}" for key, case in cases.items()}
    try:
        told: dict[str, Told] = together(cases, folder, processes=processes)
    except AssertionError as error:
        print(error)
        told = {}
    none = Told()
    return {names[key]: largest(alone[cases[key]["model"]["use"]], told.get(key, none)) for key in cases}


def trained(store: Store, seeds: int, epochs: int) -> dict[str, Any]:
    """Return each layout's paired answers beside those of one process, over all seeds."""
    found: dict[str, Any] = {}
    runs = {words(layout or {"use": "one"}): [_run(store, layout, num, seed, epochs) for seed in range(seeds)]
            for layout, num in ((None, 1), *TRAINED)}  # fmt: skip
    right = {name: np.concatenate([_samples.correct(run, "test") for run in each]) for name, each in runs.items()}
    for name, each in right.items():
        if name != "one":
            found[name] = compare.paired_accuracy(right["one"], each)
    return {"accuracy": {name: float(each.mean()) for name, each in right.items()}, "paired": found}


def _run(store: Store, layout: Any, num: int, seed: int, epochs: int) -> Run:
    launcher = {"use": "torchrun", "nproc": num} if layout else None
    job = Job.from_json({
        "model": "vit", "data": "digits", "steps": [{"use": "train", "epochs": epochs}], "metrics": ["quality"],
        "layout": layout, "launcher": launcher, "seed": seed,
    })  # fmt: skip
    run = bench.carry_out(job, store)
    assert run.status == "done", run.error
    return run


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--processes", default="2,3,4,5,6,7,8")
    options.add_argument("--recompute", action="store_true", help="each layout with recomputed activations, too")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--epochs", type=int, default=10)
    given = options.parse_args()
    began, gaps = time.perf_counter(), dict[str, float]()
    with tempfile.TemporaryDirectory() as folder:
        for processes in map(int, given.processes.split(",")):
            found = equality(processes, Path(folder) / str(processes), recompute=given.recompute)
            gaps |= found
            print(
                f"{processes} processes: {len(found)} layouts, largest difference {max(found.values()):.1e}", flush=True
            )
        told = trained(Store(Path(folder) / "runs"), given.seeds, given.epochs)
    wrong = [name for name, gap in gaps.items() if not gap <= BAR]
    apart = [name for name, each in told["paired"].items() if each.p_value < 0.05]
    accuracies = ", ".join(f"{name} {value:.4f}" for name, value in told["accuracy"].items())
    minutes = (time.perf_counter() - began) / 60
    finish(
        "layout_equality",
        {f"{name} is what one process trains": False for name in wrong}
        | {f"every legal layout differs by ≤ {BAR:g}": not wrong, "trained in float32: not told apart": not apart},
        summary=f"{len(gaps)} layouts of two families on {given.processes} processes: largest difference {max(gaps.values()):.1e}; "
        f"test accuracy over {given.seeds} seeds: {accuracies}; {minutes:.0f} min, load {os.getloadavg()[0]:.0f}",
        figures={"largest_difference": max(gaps.values()), "layouts": len(gaps), **told["accuracy"],
                 "p_values": {name: each.p_value for name, each in told["paired"].items()}},
        samples={name: [gap] for name, gap in gaps.items()},
    )  # fmt: skip


if __name__ == "__main__":
    main()
