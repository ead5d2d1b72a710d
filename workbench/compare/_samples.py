"""Reads back what a run kept of its answers: per-example outputs, per-token likelihoods, interleaved times."""

from __future__ import annotations

import functools
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench.errors import ArtifactError
from workbench.nouns import Run

IGNORED_TARGET = -100


@dataclass(frozen=True)
class Answers:
    """What a classifier said on one split."""

    outputs: np.ndarray  # (n, classes) float32 logits
    targets: np.ndarray  # (n,) int64

    @property
    def predicted(self) -> np.ndarray:
        return self.outputs.argmax(axis=1)

    @property
    def correct(self) -> np.ndarray:
        """Booleans (n,); an answer with NaN is wrong."""
        return (self.predicted == self.targets) & np.isfinite(self.outputs).all(axis=1)

    def probabilities(self) -> np.ndarray:
        """Return softmax of the outputs, (n, classes)."""
        raised = np.exp(self.outputs.astype(np.float64) - self.outputs.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)


def arrays(run: Run, file: str) -> dict[str, np.ndarray]:
    """Return every array of `samples/<file>` of a run; raises ArtifactError that says what is missing."""
    return _arrays(run.run_id, Path(run.folder) / "samples" / file)


def answers(run: Run, split: str) -> Answers:
    """Return a classifier's answers on a split; raises ArtifactError when the run kept none."""
    return _answers(run.run_id, Path(run.folder) / "samples" / "predictions.npz", split)


def _arrays(run_id: str, path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        raise ArtifactError(f"{run_id} kept no samples/{path.name}")
    try:
        with np.load(path) as found:
            return {name: found[name] for name in found.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{path} can't be read: {error}") from None


def _answers(run_id: str, path: Path, split: str) -> Answers:
    found = _arrays(run_id, path)
    outputs, targets = found.get(f"{split}_outputs"), found.get(f"{split}_targets")
    if outputs is None or targets is None or outputs.ndim != 2 or targets.ndim != 1:
        raise ArtifactError(f"{run_id} kept no class outputs of the {split} split")
    return Answers(outputs, targets)


def likelihoods(run: Run, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a language model's negative log likelihood in nats and token count, per sequence, both (n,)."""
    found = arrays(run, "predictions.npz")
    nll, targets = found.get(f"{split}_nll"), found.get(f"{split}_targets")
    if nll is None or targets is None or nll.shape != targets.shape:
        raise ArtifactError(f"{run.run_id} kept no likelihoods of the {split} split")
    counted = targets != IGNORED_TARGET
    return np.where(counted, nll, 0.0).astype(np.float64).sum(axis=-1), counted.sum(axis=-1)


def is_language_model(run: Run) -> bool:
    return run.get("perplexity") is not None


def correct(run: Run, split: str) -> np.ndarray:
    """Return which examples of a split a classifier has right, (n,) booleans; kept, as choosing asks again and again."""
    path = os.path.join(run.folder, "samples", "predictions.npz")  # no Path: ten thousand are asked for at once
    try:
        changed = os.stat(path).st_mtime_ns
    except OSError:
        changed = 0
    return _correct(run.run_id, path, split, changed)


@functools.lru_cache(maxsize=20_000)
def _correct(run_id: str, path: str, split: str, _changed: int) -> np.ndarray:
    return _answers(run_id, Path(path), split).correct
