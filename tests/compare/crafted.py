"""Runs made by hand, with their samples on disk, for tests of comparing and choosing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.nouns import Measurement, Run

NUM_EXAMPLES = 1000


def answers(wrong: Sequence[int] | range, *, n: int = NUM_EXAMPLES, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Return (logits, targets) of a classifier that is wrong exactly on the examples `wrong`."""
    targets = np.arange(n) % classes
    said = targets.copy()
    said[list(wrong)] = (said[list(wrong)] + 1) % classes
    return np.eye(classes, dtype=np.float32)[said] * 4, targets.astype(np.int64)


def run(
    root: Path,
    run_id: str,
    *,
    wrong: Sequence[int] | range = (),
    wrong_test: Sequence[int] | range | None = None,
    n: int = NUM_EXAMPLES,
    parent: str | None = None,
    reference: str | None = None,
    bytes: int | None = 1000,
    ms: float | None = 1.0,
    memory: int | None = 10_000_000,
    alone: bool | None = True,
    batch: int = 1,
    cpu: str = "some processor",
    steps: Sequence[dict[str, Any]] = ({"use": "train"},),
    times: dict[str, np.ndarray] | None = None,
    status: Any = "done",
    data: str = "d0",
    extra: Sequence[Measurement] = (),
    error: dict[str, Any] | None = None,
) -> Run:
    """Write a run folder as a worker would leave it, and return the run."""
    folder = root / run_id
    (folder / "samples").mkdir(parents=True)
    kept: dict[str, np.ndarray] = {}
    measurements = list(extra)
    for split, mistakes in (("validation", wrong), ("test", wrong if wrong_test is None else wrong_test)):
        kept[f"{split}_outputs"], kept[f"{split}_targets"] = answers(mistakes, n=n)
        k = n - len(mistakes)
        measurements.append(
            Measurement(
                "accuracy", "share", "higher", k / n, k / n - 0.01, k / n + 0.01, k=k, n=n, conditions={"split": split}
            )
        )
    np.savez(folder / "samples" / "predictions.npz", **kept)
    if times:
        np.savez(folder / "samples" / "latency.npz", **times)
    how = {"threads": 1, "batch": batch, "measured_alone": alone}
    for name, unit, value, conditions in (
        ("artifact_bytes", "bytes", bytes, {}), ("latency_ms_p50", "ms", ms, how), ("peak_memory_bytes", "bytes", memory, {}),
    ):  # fmt: skip
        if value is not None:
            measurements.append(Measurement(name, unit, "lower", value, conditions=conditions))
    return Run(
        run_id, run_id.rpartition("-")[0], status, {"steps": list(steps)}, parent=parent, reference=reference, error=error,
        data_sha256=data, machine={"cpu": cpu}, measurements=tuple(measurements), folder=str(folder),
    )  # fmt: skip


def text_run(
    root: Path, run_id: str, nll: np.ndarray, *, parent: str | None = None, bytes: int = 1000, steps: Any = None
) -> Run:
    """Write the run of a language model with these negative log likelihoods, (sequences, tokens), on both splits."""
    folder = root / run_id
    (folder / "samples").mkdir(parents=True)
    targets = np.ones(nll.shape, np.int64)
    np.savez(folder / "samples" / "predictions.npz", **{
        f"{split}_{name}": array for split in ("validation", "test") for name, array in (("nll", nll), ("targets", targets))
    })  # fmt: skip
    perplexity = float(np.exp(nll.mean()))
    measurements = [
        Measurement(
            "perplexity", "1", "lower", perplexity, perplexity * 0.9, perplexity * 1.1, conditions={"split": split}
        )
        for split in ("validation", "test")
    ]
    measurements.append(Measurement("artifact_bytes", "bytes", "lower", bytes))
    job = {"steps": [{"use": "train"}] if steps is None else steps}
    return Run(
        run_id, run_id.rpartition("-")[0], "done", job, parent=parent, data_sha256="text", folder=str(folder),
        measurements=tuple(measurements),
    )  # fmt: skip


def interleaved(
    random: np.random.Generator, ratio: float, *, restarts: int = 3, pairs: int = 34, noise: float = 0.02,
    layout: float = 0.002, other_ms: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return (this, other) times: each pair shares slow drift, each restart has luck, one time in twenty is disturbed."""
    shape = (restarts, pairs)
    drift = np.exp(random.normal(0, 0.2, shape))
    luck = np.exp(random.normal(0, layout, (restarts, 1)))

    def time_of(typical: float) -> np.ndarray:
        disturbed = np.where(random.random(shape) < 0.05, random.exponential(1.0, shape), 0.0)
        return typical * drift * np.exp(random.normal(0, noise / np.sqrt(2), shape) + disturbed)

    return time_of(other_ms * ratio) * luck, time_of(other_ms)
