"""The challenge at the end: the smallest file within a budget, on a split of the data that nobody can have tuned for.

A word that is told only then decides which digits train, validate and test; everybody with the same word has the same ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from workbench.bench import carry_out
from workbench.errors import RunFailed
from workbench.job import Job
from workbench.store import Store

MODEL = {"use": "small_cnn", "width": 32}
TRAIN = {"use": "train", "epochs": 20}
MAX_DROP = 2.0  # points of test accuracy below the network as trained


@dataclass(frozen=True)
class Score:
    """What a recipe reached; `times_smaller` is its score, 0 where it lost too much."""

    word_sha256: str  # says that two scores are of the same word, without the word
    recipe: str
    num_bytes: int
    drop: float  # points of test accuracy
    times_smaller: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def split_seed(word: str) -> int:
    """Return the seed of the split that a word stands for; upper and lower case and blanks don't count."""
    return int(hashlib.sha256(_plain(word).encode()).hexdigest()[:6], 16)


def job(steps: Sequence[dict[str, Any]], word: str) -> Job:
    """Return the job of a recipe: the network as trained, then these steps."""
    return Job.from_json(
        {"model": MODEL, "data": {"use": "digits", "split_seed": split_seed(word)}, "steps": [TRAIN, *steps],
         "format": "onnx", "metrics": ["size", "quality"]}
    )  # fmt: skip


def score(
    steps: Sequence[dict[str, Any]], word: str, store: Store, *, on_event: Callable[[Any], None] | None = None
) -> Score:
    """Carry out a recipe on the split of a word and score it; raises RunFailed when it fails."""
    asked = job(steps, word)
    run = carry_out(asked, store, on_event=on_event)
    if run.status != "done":
        raise RunFailed(f"{run.run_id} is {run.status}", next_move=f"workbench show {run.run_id} tells why")
    parent = store.get(run.parent) if run.parent else run
    (size, accuracy), (full, trained) = (
        (each.get("artifact_bytes"), each.get("accuracy", split="test")) for each in (run, parent)
    )
    assert size and accuracy and full and trained
    drop = 100 * (trained.value - accuracy.value)
    ratio = full.value / size.value if drop <= MAX_DROP else 0.0
    sha256 = hashlib.sha256(b"workbench" + _plain(word).encode()).hexdigest()[:12]
    return Score(sha256, asked.recipe(), int(size.value), round(drop, 2), round(ratio, 2))


def _plain(word: str) -> str:
    return "".join(word.lower().split())
