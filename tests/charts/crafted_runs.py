"""Runs made by hand: what a store would hold, without training anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from workbench.nouns import Measurement, Run

SPEED = {"threads": 1, "batch": 1, "measured_alone": True}
VERSIONS = {"workbench": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "onnxruntime": "1.32.0"}
MACHINE = {"cpu": "Example CPU", "cores": 2, "isa": ["avx2"], "memory_bytes": 8_000_000_000}


def crafted_run(
    run_id: str,
    *,
    model: str = "lenet_5",
    steps: tuple[dict[str, Any], ...] = ({"use": "train"},),
    parent: str | None = None,
    size: int = 250_000,
    accuracy: float | None = 0.97,
    p50: float | None = 0.05,
    ratio: tuple[float, float, float] | None = None,
    status: Any = "done",
    folder: str = "",
    **sizes: int,
) -> Run:
    """Return a run; None for `accuracy` or `p50` leaves that measurement out."""
    measurements = [*_sizes(size, sizes), *_accuracy(accuracy), *_latency(p50, ratio)] if status == "done" else []
    error = None if status == "done" else {"kind": "raised", "message": "no space <left>\nhere", "next": "free some"}
    return Run(
        run_id, run_id.rpartition("-")[0], status, parent=parent, reference=parent, error=error, folder=folder,
        job={"schema": 1, "model": {"use": model}, "data": {"use": "digits"}, "steps": list(steps),
             "format": {"use": "onnx"}, "seed": 0},
        versions=VERSIONS, machine=MACHINE, measurements=tuple(measurements),
        started="2026-01-02T03:04:05Z", ended="2026-01-02T03:04:35Z",
    )  # fmt: skip


def with_predictions(folder: Path, answers: np.ndarray, targets: np.ndarray, *, sure: float = 4.0) -> str:
    """Write predictions.npz whose logits answer `answers` on test and are right on validation; returns the folder."""
    (folder / "samples").mkdir(parents=True)
    logits = np.eye(10, dtype=np.float32)[answers] * sure
    right = np.eye(10, dtype=np.float32)[targets] * sure
    np.savez(
        folder / "samples" / "predictions.npz", test_outputs=logits, test_targets=targets, validation_outputs=logits,
        validation_targets=targets if sure else right,
    )  # fmt: skip
    return str(folder)


def _sizes(size: int, sizes: dict[str, int]) -> list[Measurement]:
    known = {"artifact_bytes": size, "folder_bytes": size + 5000, "dense_bytes": 240_000, "nonzero_params": 60_000,
             "num_params": 60_000, "zipped_bytes": 220_000, **sizes}  # fmt: skip
    return [
        Measurement(name, "parameters" if name.endswith("params") else "bytes", "lower", value)
        for name, value in known.items()
    ]


def _accuracy(accuracy: float | None) -> list[Measurement]:
    if accuracy is None:
        return []
    found = []
    for split, n in (("validation", 149), ("test", 900)):
        k = round(accuracy * n)
        found.append(
            Measurement(
                "accuracy",
                "share",
                "higher",
                k / n,
                max(0.0, k / n - 0.01),
                min(1.0, k / n + 0.01),
                "wilson95",
                k,
                n,
                "samples/predictions.npz",
                {"split": split},
            )  # fmt: skip
        )
        found.append(Measurement("f1_macro", "share", "higher", k / n, conditions={"split": split}))
    return found


def _latency(p50: float | None, ratio: tuple[float, float, float] | None) -> list[Measurement]:
    if p50 is None:
        return []
    found = [
        Measurement("latency_ms_p50", "ms", "lower", p50, p50 * 0.98, p50 * 1.02, "bootstrap95", n=100,
                    samples_in="samples/latency.npz", conditions=SPEED),
        Measurement("latency_ms_p95", "ms", "lower", p50 * 1.3, n=100, conditions=SPEED),
        Measurement("peak_memory_bytes", "bytes", "lower", 81_500_000),
    ]  # fmt: skip
    for name in ("latency_ratio_to_parent", "latency_ratio_to_reference"):
        if ratio:
            value, lo, hi = ratio
            found.append(Measurement(name, "this / parent", "lower", value, lo, hi, n=100, conditions=SPEED))
    return found
