"""What differs between two runs: every shared measurement with a verdict, flipped answers, classes."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from workbench.compare._samples import Answers
from workbench.compare._statistics import PairedAccuracy, PairedPerplexity
from workbench.nouns import Measurement, Run

# Conditions that make it the same quantity in another run.
IDENTIFYING = ("split", "label", "threads", "batch", "context")
EXACT_UNITS = ("bytes", "parameters")
TIMES_OF_ONE_RUN = ("latency_ms_p50", "latency_ms_p95", "latency_ms_p99")  # they move 20 % between runs


@dataclass(frozen=True)
class Difference:
    """One quantity in both runs."""

    name: str
    unit: str
    better: str  # lower | higher | neither
    a: float
    b: float
    ratio: float | None  # b / a; None when a is 0
    verdict: str  # b is: better | worse | equal | different | cannot be told apart | no interval | see latency
    conditions: Mapping[str, Any] = field(default_factory=dict)

    @property
    def change(self) -> float:
        return self.b - self.a


@dataclass(frozen=True)
class Flip:
    """One example that only one of the two has right."""

    index: int  # in the split
    kind: Literal["broken", "fixed"]  # broken: a has it right, b wrong
    label: str  # the right class
    predicted_a: str
    predicted_b: str
    probability_a: float  # that a gives the right class
    probability_b: float


@dataclass(frozen=True)
class ClassChange:
    """How the examples of one class fared."""

    label: str
    n: int
    right_a: int
    right_b: int
    broken: int
    fixed: int


def differences(a: Run, b: Run, paired: PairedAccuracy | PairedPerplexity | None) -> tuple[Difference, ...]:
    """Return shared measurements in the order of `b`; `paired` decides the test accuracy or perplexity."""
    of_a = {_key(each): each for each in reversed(a.measurements)}
    rows: dict[Any, Difference] = {}
    for mine in b.measurements:
        key = _key(mine)
        if key in of_a and key not in rows:
            rows[key] = _difference(of_a[key], mine, paired)
    return tuple(rows.values())


def _key(measured: Measurement) -> tuple[Any, ...]:
    return measured.name, *(measured.conditions.get(name) for name in IDENTIFYING)


def _difference(a: Measurement, b: Measurement, paired: PairedAccuracy | PairedPerplexity | None) -> Difference:
    same = {name: b.conditions[name] for name in IDENTIFYING if name in b.conditions}
    ratio = b.value / a.value if a.value else None
    return Difference(b.name, b.unit, b.better, a.value, b.value, ratio, _verdict(a, b, paired), same)


def _verdict(a: Measurement, b: Measurement, paired: PairedAccuracy | PairedPerplexity | None) -> str:
    if b.name in TIMES_OF_ONE_RUN:
        return "see latency"
    if paired and b.conditions.get("split") == "test" and b.name in ("accuracy", "perplexity", "bits_per_byte"):
        return paired.verdict.removeprefix("b is ")
    if b.unit in EXACT_UNITS and "memory" not in b.name:
        return "equal" if a.value == b.value else _direction(a, b)
    if a.lo is None or a.hi is None or b.lo is None or b.hi is None:
        return "no interval"
    return "cannot be told apart" if a.lo <= b.hi and b.lo <= a.hi else _direction(a, b)


def _direction(a: Measurement, b: Measurement) -> Literal["better", "worse", "different"]:
    if b.better == "neither":
        return "different"
    return "better" if (b.value < a.value) == (b.better == "lower") else "worse"


def flips(a: Answers, b: Answers, labels: Sequence[str]) -> tuple[Flip, ...]:
    """Return the flipped examples: broken first, then fixed, each by the change of the right class's probability."""
    right = (np.arange(len(a.targets)), a.targets)
    probability_a, probability_b = a.probabilities()[right], b.probabilities()[right]
    moved = np.abs(np.nan_to_num(probability_b - probability_a, nan=np.inf))
    found = []
    kinds: tuple[tuple[Literal["broken", "fixed"], np.ndarray], ...] = (
        ("broken", a.correct & ~b.correct), ("fixed", b.correct & ~a.correct),
    )  # fmt: skip
    for kind, flipped in kinds:
        indices = np.flatnonzero(flipped)
        for index in indices[np.argsort(-moved[indices], kind="stable")]:
            found.append(
                Flip(int(index), kind, _label(labels, a.targets[index]), _label(labels, a.predicted[index]),
                     _label(labels, b.predicted[index]), float(probability_a[index]), float(probability_b[index]))
            )  # fmt: skip
    return tuple(found)


def per_class(a: Answers, b: Answers, labels: Sequence[str]) -> tuple[ClassChange, ...]:
    """Return one row per class that has examples, the one that lost most first."""
    rows = []
    for target in np.unique(a.targets):
        mine = a.targets == target
        right_a, right_b = a.correct & mine, b.correct & mine
        rows.append(
            ClassChange(_label(labels, target), int(mine.sum()), int(right_a.sum()), int(right_b.sum()),
                        int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum()))
        )  # fmt: skip
    return tuple(sorted(rows, key=lambda row: ((row.right_b - row.right_a) / row.n, row.label)))


def labels_of(run: Run) -> tuple[str, ...]:
    """Return the class names from the run's artifact card; empty when it has none."""
    return _labels(str(Path(run.folder) / "artifact" / "card.json"))


@functools.lru_cache(maxsize=256)
def _labels(card: str) -> tuple[str, ...]:
    path = Path(card)
    return tuple(json.loads(path.read_text()).get("labels", ())) if path.exists() else ()


def _label(labels: Sequence[str], target: int) -> str:
    return labels[target] if target < len(labels) else str(int(target))
