"""Does removing half of a ResNet's multiply-accumulates make it as much faster, without losing accuracy?

Bars: at 50 % of the operations, widths in blocks of this machine's kernels, the measured speed-up over the model as trained
(same format, times taken alternately) is ≥ 0.9 × the ratio of operations; and over all seeds the answers of the pruned models
can't be told apart from those of the dense ones they were made of. Widths that aren't rounded are timed beside them.

    python benchmarks/structured_pruning.py [--store runs/structured] [--seeds 5] [--epochs 10] [--batch 32] [--format onnx]
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from _results import finish, median

from workbench import compare
from workbench.compare import _samples
from workbench.describe import model_card
from workbench.job import Job
from workbench.nouns import Run
from workbench.store import Store
from workbench.study import carry_out_all, with_relatives

MODEL = {"use": "resnet", "depth": 18, "width": 32}
BAR = 0.9


def job(arguments: Any, *, seed: int, round_to: int) -> Job:
    train = {"use": "train", "epochs": arguments.epochs}
    prune = {"use": "channel_prune", "ratio": 0.5, "target": "macs", "importance": "gradient", "round_to": round_to}
    latency = {"use": "latency", "batch": arguments.batch, "pairs": 60, "restarts": 3}
    return Job.from_json(
        {"model": MODEL, "data": "digits", "steps": [train, prune, train], "format": arguments.format, "seed": seed,
         "metrics": [{"use": "size"}, {"use": "quality"}, latency]}
    )  # fmt: skip


def operations(made: Job) -> float:
    """Return the operations of the model as built over those of the pruned one."""
    cards = made.cards(model_card(made))
    return cards[0].macs / cards[-1].macs  # type: ignore[operator]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", default="runs/structured")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--format", default="onnx")
    arguments = parser.parse_args()
    store = Store(arguments.store)
    rounded = [job(arguments, seed=seed, round_to=0) for seed in range(arguments.seeds)]
    others = {number: job(arguments, seed=0, round_to=number) for number in (1, 8)}
    done = {run.job_id: run for run in carry_out_all(with_relatives([*rounded, *others.values()]), store, workers=1)}
    runs = [done[each.job_id] for each in rounded]
    assert all(run.status == "done" for run in runs), [run.error for run in runs]
    speed = {f"round_to={number}": _speed(done[each.job_id], each) for number, each in others.items()}
    speed |= {f"blocks of this machine, seed {run.job['seed']}": _speed(run, each) for run, each in zip(runs, rounded)}
    shares = [each["speed_up"] / each["operations"] for name, each in speed.items() if "seed" in name]
    paired = compare.paired_accuracy(_answers([store.get(str(run.parent)) for run in runs]), _answers(runs))
    told = {
        name: f"{each['speed_up']:.2f} × at {each['operations']:.2f} × fewer operations" for name, each in speed.items()
    }
    finish(
        "structured_pruning",
        {
            f"speed-up ≥ {BAR} × the ratio of operations, median of {len(shares)} seeds: {median(shares):.2f}": median(shares) >= BAR,
            f"{paired.n} paired test answers of {len(runs)} seeds can't be told apart ({100 * paired.difference:+.2f} points "
            f"[{100 * paired.lo:+.2f}, {100 * paired.hi:+.2f}], p = {paired.p_value:.2f})": "cannot be told apart" in paired.verdict,
        },
        summary=f"ResNet-18 (width 32), {arguments.format}, batch {arguments.batch}: {told}; {100 * paired.difference:+.2f} points, p = {paired.p_value:.2f}",
        figures={"speed": speed, "paired": {"difference": paired.difference, "lo": paired.lo, "hi": paired.hi, "p": paired.p_value, "n": paired.n}},
        samples={run.run_id: [run.get("latency_ratio_to_parent").value] for run in runs},  # type: ignore[union-attr]
    )  # fmt: skip


def _speed(run: Run, made: Job) -> dict[str, float]:
    ratio = run.get("latency_ratio_to_parent")
    assert ratio and ratio.lo and ratio.hi
    return {"speed_up": 1 / ratio.value, "lo": 1 / ratio.hi, "hi": 1 / ratio.lo, "operations": operations(made)}


def _answers(runs: list[Run]) -> np.ndarray:
    return np.concatenate([_samples.answers(run, "test").correct for run in runs])


if __name__ == "__main__":
    main()
