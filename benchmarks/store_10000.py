"""Ten thousand stored runs become a table.

Bar: ≤ 2 s from a store on disk to rows, all files in the page cache; CPU seconds, since the machine may be shared.
The records are what a real run writes: 60 measurements, 20 of them once per class.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from _results import finish, median

from workbench import table
from workbench.store import Store

NUM_RUNS = 10_000
REPEATS = 5


def record(number: int) -> dict[str, Any]:
    """Return a run record such as a pruned, fine-tuned, quantized LeNet leaves, different for each number."""
    share = 0.9 + (number % 100) / 1000
    split: list[dict[str, Any]] = []
    for name in ("validation", "test"):
        where = {"split": name}
        common = {"unit": "share", "better": "higher", "samples_in": "samples/predictions.npz"}
        split.append({"name": "accuracy", "value": share, "k": 877, "n": 900, "lo": share - 0.01, "hi": share + 0.01, "interval": "wilson95", "conditions": where, **common})  # fmt: skip
        split += [{"name": f"{each}_macro", "value": share, "n": 900, "conditions": where, **common} for each in ("f1", "precision", "recall")]  # fmt: skip
        split += [
            {"name": each, "value": share, "n": 90, "conditions": {**where, "label": str(label)}, **common}
            for each in ("f1", "precision")
            for label in range(10)
        ]
    how = {"threads": 1, "batch": 1, "restarts": 5, "calls_per_sample": [64] * 5, "measured_alone": True, "load1": 0.9, "other_cpu": 0.02}  # fmt: skip
    sizes = [{"name": name, "unit": "bytes", "better": "lower", "value": 24_306 + number, "conditions": {}} for name in table.SIZES]  # fmt: skip
    timed = [{"name": f"latency_ms_p{p}", "unit": "ms", "better": "lower", "value": 0.1, "n": 300, "samples_in": "samples/latency.npz", "conditions": how} for p in (50, 95, 99)]  # fmt: skip
    ratios = [
        {"name": f"latency_ratio_to_{role}", "unit": f"this / {role}", "better": "lower", "value": 0.61, "lo": 0.605, "hi": 0.616,
         "interval": "bootstrap95 of median", "n": 100, "samples_in": "samples/latency.npz", "conditions": {**how, f"{role}_sha256": "c0de" * 4}}
        for role in ("parent", "reference")
    ]  # fmt: skip
    memory = [
        {"name": "peak_memory_bytes", "unit": "bytes", "better": "lower", "value": 9e7, "conditions": {"threads": 1}}
    ]
    steps = [
        {"use": "train", "epochs": 1 + number % 40, "batch_size": 64, "learning_rate": 0.002, "optimizer": "adamw", "weight_decay": 0.01},
        {"use": "magnitude_prune", "sparsity": (1 + number % 90) / 100, "scope": "layer"},
        {"use": "int8_dynamic", "skip": []},
    ]  # fmt: skip
    job = {
        "schema": 1, "model": {"use": "lenet_5"}, "data": {"use": "digits", "split_seed": 0, "fold": None}, "steps": steps,
        "format": {"use": "onnx"}, "metrics": [{"use": "size"}, {"use": "quality"}, {"use": "latency"}], "seed": number % 5,
        "layout": None, "launcher": {"use": "process", "threads": 1, "start": "fork"},
    }  # fmt: skip
    job_id = f"lenet_5-{number:010x}"
    return {
        "schema": 1, "run_id": f"{job_id}-01", "job_id": job_id, "status": "done", "job": job, "parent": "lenet_5-b81d44c0f3-01",
        "reference": "lenet_5-b81d44c0f3-01", "error": None,
        "versions": {"workbench": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "onnxruntime": "1.32.0", "numpy": "2.4.6"},
        "machine": {"cpu": "some processor", "cores": 2, "isa": ["avx512_vnni"], "memory_bytes": 25_200_000_000},
        "data_sha256": "6a1f" * 16, "started": "2026-11-23T18:52:01.123Z", "ended": "2026-11-23T18:52:19.456Z",
        "cpu_seconds": {"overhead": 0.06, "load": 0.02, "steps[0].train": 0.0, "steps[1].magnitude_prune": 0.2, "save": 1.9},
        "cached": ["steps[0].train"], "controls": {}, "measurements": [*sizes, *split, *timed, *ratios, *memory],
        "artifact": "artifact/", "log": "log.txt",
    }  # fmt: skip


def fill(root: Path) -> float:
    """Write the records; returns the mean bytes of one."""
    total = 0
    for number in range(NUM_RUNS):
        each = record(number)
        folder = root / each["run_id"]
        folder.mkdir()
        total += (folder / "run.json").write_text(json.dumps(each, indent=2))
    return total / NUM_RUNS


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        size = fill(Path(folder))
        store = Store(folder)
        reading, making, walls = [], [], []
        for _ in range(REPEATS):
            wall, start = time.perf_counter(), time.process_time()
            runs = store.runs()
            middle = time.process_time()
            rows = table.rows(runs)
            reading.append(middle - start)
            making.append(time.process_time() - middle)
            walls.append(time.perf_counter() - wall)
            assert len(rows) == NUM_RUNS and not store.skipped, store.skipped[:3]
            assert rows[0]["accuracy"] and rows[0]["latency_ratio_to_parent"]
            num_measurements = len(runs[0].measurements)
            del runs, rows
    both = [first + second for first, second in zip(reading, making)]
    finish(
        "store_10000",
        {f"{NUM_RUNS} runs of {num_measurements} measurements become a table in ≤ 2 CPU seconds": median(both) <= 2.0},
        summary=f"read {median(reading):.2f} s + rows {median(making):.2f} s = {median(both):.2f} CPU s, wall {median(walls):.2f} s",
        figures={"read": median(reading), "rows": median(making), "both": median(both), "first": both[0],
                 "bytes_per_record": size, "measurements_per_run": num_measurements},
        samples={"read": reading, "rows": making, "wall": walls},
    )  # fmt: skip


if __name__ == "__main__":
    main()
