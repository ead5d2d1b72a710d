"""How far the outputs of two models are apart, example by example."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.errors import WorkbenchError

IGNORED_TARGET = -100
RESAMPLES = 2000


def apart(outputs: np.ndarray, expected: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
    """Return cosine, kl (nats, expected ‖ outputs) and gap (largest |difference|) per example, each (N,).

    Both are logits (N, …, classes). Positions whose target is −100 (padding of texts) don't count. `kl` is left out when
    there is one output per position: no distribution. Everything is float64: cosines next to 1 differ in the 8th digit.
    """
    if outputs.shape != expected.shape:
        raise WorkbenchError(f"this model gives outputs {outputs.shape}, its parent {expected.shape}")
    classes = outputs.shape[-1]
    mine, theirs = (each.astype(np.float64).reshape(len(outputs), -1, classes) for each in (outputs, expected))
    counted = _counted(targets, mine.shape[:2])
    mine, theirs = mine * counted[..., None], theirs * counted[..., None]
    found = {"cosine": _cosine(mine, theirs), "gap": np.abs(mine - theirs).max(axis=(1, 2))}
    if classes > 1:
        found["kl"] = (_kl(theirs, mine) * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    return found


def mean_interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean over examples."""
    random = np.random.default_rng(seed)
    means = [values[random.integers(0, len(values), len(values))].mean() for _ in range(RESAMPLES)]
    lo, hi = np.quantile(means, (0.025, 0.975))
    return float(lo), float(hi)


def _counted(targets: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return which positions count, (N, positions); all of them unless there is a target per position."""
    if targets.shape == shape:
        return targets != IGNORED_TARGET
    return np.ones(shape, bool)


def _cosine(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Return the cosine over all outputs of each example; two zero vectors agree, a zero one agrees with no other."""
    lengths = np.linalg.norm(mine, axis=(1, 2)) * np.linalg.norm(theirs, axis=(1, 2))
    both_zero = ~mine.any(axis=(1, 2)) & ~theirs.any(axis=(1, 2))
    products = (mine * theirs).sum(axis=(1, 2))
    return np.where(both_zero, 1.0, np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0))


def _kl(expected: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Return Σ p (log p − log q) over the last axis; rounding below 0 is 0."""
    from scipy.special import log_softmax, softmax

    gaps = log_softmax(expected, axis=-1) - log_softmax(outputs, axis=-1)
    return np.maximum((softmax(expected, axis=-1) * gaps).sum(axis=-1), 0.0)


def outputs_of(session: Any, inputs: Any, *, batch: int = 128) -> np.ndarray:
    """Return a session's logits on all examples, in batches."""
    count = len(next(iter(inputs.values())))
    slices = [slice(start, start + batch) for start in range(0, count, batch)]
    pieces = ({name: np.ascontiguousarray(array[piece]) for name, array in inputs.items()} for piece in slices)
    return np.concatenate([session(piece)["logits"] for piece in pieces])
