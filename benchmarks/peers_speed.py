"""Is what the workbench recommends as fast as the best runtime by hand, and do its recipes beat every runtime's int8?

Bars: (a) among recipes that keep the architecture, the recommended file is never slower than the best peer run directly, under
one rule of quality for both (ratio ≥ 0.98); (b) among all recipes it is ≥ 1.5 × as fast as the best peer's int8 of the original
model on at least three of five models. The rule: at most one point of accuracy (one per cent of perplexity) lost against the
model as trained, as measured on validation; whether that many examples show it is told. Test is told of what was taken.

Peers get the same trained program, calibration examples and thread, and make their files with their own tools (`_peers.py`).
Times: fresh processes, all variants in turn, median of the ratios with an interval over restarts.

    python benchmarks/peers_speed.py [--models small_cnn,vit,tiny_lm,encoder,resnet] [--store runs/peers] [--batch 1]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import _peers
import numpy as np
from _results import finish

from workbench import compare
from workbench.compare import Budgets
from workbench.job import Job
from workbench.nouns import Examples, Run
from workbench.store import Store
from workbench.study import carry_out_all, in_each_format, with_relatives

NEVER_SLOWER, FASTER, AT_LEAST = 0.98, 1.5, 3
MARGIN = 1.0  # points, or per cent of perplexity
LEFT_OUT = ("coded", "hugging_face")  # as fast as onnx and pt2, whose runtimes they use: timing them would tell nothing
PRECISIONS: list[list[dict[str, Any]]] = [
    [],
    [{"use": "int8_static"}],
    [{"use": "int8_dynamic"}],
    [{"use": "bfloat16"}],
]
RESTARTS, PAIRS = 3, 60
MODELS: dict[str, dict[str, Any]] = {
    "small_cnn": {
        "model": {"use": "small_cnn"}, "data": {"use": "digits"}, "epochs": 20,
        "student": {"use": "small_cnn", "width": 8, "blocks": 2}, "prune": {"use": "channel_prune", "ratio": 0.5},
    },
    "vit": {
        "model": {"use": "vit"}, "data": {"use": "digits"}, "epochs": 30,
        "student": {"use": "vit", "layers": 2, "width": 48}, "prune": {"use": "head_prune", "ratio": 0.5},
    },
    "tiny_lm": {
        "model": {"use": "tiny_lm", "layers": 2, "width": 128, "ffn": 256}, "data": {"use": "python_source", "length": 64}, "epochs": 4,
        "student": {"use": "tiny_lm", "layers": 1, "width": 128, "ffn": 256}, "prune": {"use": "channel_prune", "ratio": 0.3},
    },
    "encoder": {
        "model": {"use": "tiny_lm", "layers": 6, "width": 384, "heads": 6, "ffn": 1536},
        "data": {"use": "python_source", "task": "which_module", "length": 128, "num_examples": 2000}, "epochs": 2,
        "student": {"use": "tiny_lm", "layers": 2, "width": 192, "heads": 4, "ffn": 384}, "prune": None,
    },
    "resnet": {
        "model": {"use": "resnet", "depth": 18}, "data": {"use": "shapes", "size": 64, "num_examples": 2000}, "epochs": 6,
        "student": {"use": "resnet", "depth": 10, "width": 32}, "prune": {"use": "channel_prune", "ratio": 0.5, "round_to": 0},
    },
}  # fmt: skip


def recipes(told: Mapping[str, Any]) -> dict[str, list[list[dict[str, Any]]]]:
    """Return the steps after training that are tried: those that keep the architecture, and those that make it smaller."""
    again = {"use": "train", "epochs": max(1, told["epochs"] // 2)}
    smaller = [[{"use": "distill", "student": told["student"], "epochs": told["epochs"]}]]
    if told["prune"]:
        smaller.append([told["prune"], again])
    return {"kept": PRECISIONS, "smaller": [[*each, *precision] for each in smaller for precision in PRECISIONS[:3]]}


def jobs(told: Mapping[str, Any], batch: int) -> dict[str, list[Job]]:
    """Return a job per recipe and format that can hold it: no runtime is named by hand."""
    latency = {"use": "latency", "batch": batch, "pairs": 40, "restarts": 2, "singles": 40}
    found: dict[str, list[Job]] = {}
    for family, lists in recipes(told).items():
        found[family] = []
        for steps in lists:
            record = {
                "model": told["model"], "data": told["data"], "steps": [{"use": "train", "epochs": told["epochs"]}, *steps],
                "metrics": [{"use": "size"}, {"use": "quality"}, latency],
            }  # fmt: skip
            able, refused = in_each_format(record)
            if not able:
                print("left out:", [step["use"] for step in steps], refused, flush=True)
            found[family] += [job for job in able if job.format.name() not in LEFT_OUT]
    return found


def recommended(runs: Sequence[Run]) -> tuple[Run, str]:
    """Return what `choose` takes for latency at a drop of MARGIN, and whether the drop is shown or only measured."""
    to_reference = {run.run_id: _ratio(run) for run in runs}
    costs = {"latency": {name: ratio for name, ratio in to_reference.items() if ratio is not None}}
    choice = compare.choose(runs, Budgets(max_drop=MARGIN), costs=costs)
    able = [(run, "shown") for run in (choice.recommended,) if run]
    able += [(run, "as measured, not shown") for run in (choice.unproven,) if run]
    assert able, choice.why
    return min(able, key=lambda each: to_reference[each[0].run_id] or float("inf"))


def _ratio(run: Run) -> float | None:
    """Return its time over that of the float32 ONNX file as trained, which is 1 of itself."""
    measured = run.get("latency_ratio_to_reference")
    return (
        measured.value
        if measured
        else 1.0
        if run.get("latency_ms_p50") and run.job["format"]["use"] == "onnx"
        else None
    )


def quality(session: Any, examples: Examples) -> np.ndarray:
    """Return of each example whether it is right, or the mean negative log likelihood of its tokens."""
    found = []
    for start in range(0, len(examples), 32):
        part = examples.take(slice(start, start + 32))
        logits = session({name: np.ascontiguousarray(array) for name, array in part.inputs.items()}).astype(np.float64)
        if part.targets.ndim == 1:
            found.append(logits.argmax(-1) == part.targets)
        else:
            highest = logits.max(-1, keepdims=True)
            log_sum = (highest + np.log(np.exp(logits - highest).sum(-1, keepdims=True)))[..., 0]
            found.append((log_sum - np.take_along_axis(logits, part.targets[..., None], -1)[..., 0]).mean(-1))
    return np.concatenate(found)


def drop(before: np.ndarray, after: np.ndarray) -> float:
    """Return points of accuracy lost, or the rise of perplexity in per cent."""
    if before.dtype == bool:
        return 100 * float(before.mean() - after.mean())
    return 100 * (float(np.exp(after.mean() - before.mean())) - 1)


def timed(variants: Mapping[str, Mapping[str, str]], probe: str, batch: int) -> dict[str, np.ndarray]:
    """Return milliseconds (restarts, pairs) of each variant, all in turn in each of RESTARTS fresh processes."""
    found = []
    for turn in range(RESTARTS):
        spec = {
            "variants": list(variants.values()),
            "probe": probe,
            "batch": batch,
            "pairs": PAIRS // RESTARTS,
            "turn": turn,
        }
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(spec, file)
            file.flush()
            command = [sys.executable, str(Path(_peers.__file__)), file.name]
            env = {**os.environ, "OMP_NUM_THREADS": "1"}
            ended = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
        found.append(json.loads(ended.stdout.splitlines()[-1]))
    samples = np.array(found)  # (restarts, variants, pairs)
    return {name: samples[:, place] for place, name in enumerate(variants)}


def measured(name: str, told: Mapping[str, Any], store: Store, batch: int) -> dict[str, Any]:
    """Carry out every recipe, make every peer, time what is compared together; returns all figures of one model."""
    made = jobs(told, batch)
    done = {
        run.job_id: run for run in carry_out_all(with_relatives([*made["kept"], *made["smaller"]]), store, workers=1)
    }
    failed = [f"{run.run_id}: {(run.error or {}).get('message')}" for run in done.values() if run.status != "done"]
    runs = {
        family: [done[job.job_id] for job in listed if done[job.job_id].status == "done"]
        for family, listed in made.items()
    }
    taken = {"a": recommended(runs["kept"]), "b": recommended([*runs["kept"], *runs["smaller"]])}
    splits = made["kept"][0].data.load()
    trained = next(run for run in runs["kept"] if len(run.job["steps"]) == 1 and run.job["format"]["use"] == "pt2")
    program = Path(trained.folder) / "artifact" / "model.pt2"
    calibration = [
        {key: np.ascontiguousarray(array[start : start + 16]) for key, array in splits.calibration.inputs.items()}
        for start in range(0, min(160, len(splits.calibration)), 16)
    ]
    peers = _peers.make(
        program, calibration, store.root / "peers" / name, transformer=name not in ("small_cnn", "resnet")
    )
    left_out = peers.pop("left out")
    qualities = {peer: _qualities(made, splits) for peer, made in peers.items()}
    before = qualities["torch eager"]
    drops = {peer: drop(before["validation"], each["validation"]) for peer, each in qualities.items()}
    ours = {
        f"ours ({key})": {"kind": run.job["format"]["use"], "path": str(Path(run.folder) / "artifact")}
        for key, (run, _) in taken.items()
    }
    probe = str(Path(trained.folder) / "artifact" / "probe.npz")
    times = timed({**ours, **peers}, probe, batch)
    mine = {key: _qualities(each, splits) for key, each in ours.items()}
    return {
        **_ratios(times, drops), "drops": drops, "left_out": left_out, "failed": failed,
        "taken": {key: {"run": run.run_id, "steps": [step["use"] for step in run.job["steps"][1:]], "format": run.job["format"]["use"],
                        "drop": how, "test drop": drop(before["test"], mine[f"ours ({key})"]["test"])} for key, (run, how) in taken.items()},
        "samples": {key: each.ravel().tolist() for key, each in times.items()},
        "ms": {key: float(np.median(each)) for key, each in times.items()},
    }  # fmt: skip


def _qualities(made: Mapping[str, str], splits: Any) -> dict[str, np.ndarray]:
    session = _peers.opened(made["kind"], made["path"])
    return {split: quality(session, getattr(splits, split)) for split in ("validation", "test")}


def _ratios(times: Mapping[str, np.ndarray], drops: Mapping[str, float]) -> dict[str, Any]:
    """Return the best peer's time over ours: of all peers that keep the quality (a), and of their int8 alone (b).

    The best is the one whose ratio is lowest: times drift between restarts, ratios of times taken in turn don't.
    """
    keeps = [peer for peer, lost in drops.items() if lost <= MARGIN]
    int8 = [peer for peer in keeps if peer in _peers.INT8] or keeps  # where no int8 keeps it, what does
    found: dict[str, Any] = {}
    for key, peers in (("a", keeps), ("b", int8)):
        ratios = {peer: compare.ratio_interval(times[peer], times[f"ours ({key})"]) for peer in peers}
        peer = min(ratios, key=lambda each: ratios[each].ratio)
        found[key] = {"ratio": ratios[peer].ratio, "lo": ratios[peer].lo, "hi": ratios[peer].hi, "peer": peer}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--store", default="runs/peers")
    parser.add_argument("--batch", type=int, default=1)
    arguments = parser.parse_args()
    names = arguments.models.split(",")
    if unknown := [name for name in names if name not in MODELS]:
        parser.error(f"--models: {', '.join(unknown)} not among {', '.join(MODELS)}")
    found = {}
    for name in names:
        found[name] = measured(name, MODELS[name], Store(arguments.store), arguments.batch)
        print(
            name,
            json.dumps({key: value for key, value in found[name].items() if key != "samples"}, indent=1),
            flush=True,
        )
    claims = {
        f"(a) {name}: {each['taken']['a']['steps'] or 'as trained'} in {each['taken']['a']['format']} against {each['a']['peer']}, ratio "
        f"≥ {NEVER_SLOWER}: {each['a']['ratio']:.2f} [{each['a']['lo']:.2f}, {each['a']['hi']:.2f}]": each["a"]["ratio"] >= NEVER_SLOWER
        for name, each in found.items()
    }  # fmt: skip
    faster = {name: each["b"] for name, each in found.items()}
    told = ", ".join(f"{name} {each['ratio']:.2f} × {each['peer']}" for name, each in faster.items())
    wins = sum(each["ratio"] >= FASTER for each in faster.values())
    claims[
        f"(b) ≥ {FASTER} × the best peer's int8 on ≥ {AT_LEAST} of {len(MODELS)} models ({len(names)} run): {wins}: {told}"
    ] = wins >= AT_LEAST
    finish(
        "peers_speed", claims, threads=1,
        summary="; ".join(f"{name} (a) {each['a']['ratio']:.2f} (b) {each['b']['ratio']:.2f}" for name, each in found.items()) + f", batch {arguments.batch}",
        figures={name: {key: value for key, value in each.items() if key != "samples"} for name, each in found.items()},
        samples={f"{name}, {key} (ms)": values for name, each in found.items() for key, values in each["samples"].items()},
    )  # fmt: skip


if __name__ == "__main__":
    main()
