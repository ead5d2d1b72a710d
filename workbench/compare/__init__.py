"""Paired comparison of two runs, and the choice among many; "cannot be told apart" is a verdict.

compare_runs(a, b)      what differs, on the same examples and through the same interleaved timing
choose(runs, budgets)   the run to take, why, and why not each other one
fastest(runs)           which of several files of one model answers first, and whether it kept the quality
pareto(points, axes)    the front, with ties, duplicates and missing values told
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from workbench.compare import _samples
from workbench.compare._auc import auc_interval
from workbench.compare._budgets import Budgets, Choice, Drop
from workbench.compare._choosing import choose, reported_test
from workbench.compare._differences import ClassChange, Difference, Flip, differences, flips, labels_of, per_class
from workbench.compare._fastest import Fastest, Rival, fastest
from workbench.compare._latency_ratio import (
    MEASURED_TOGETHER,
    LatencyComparison,
    Median,
    Ratio,
    latency,
    median_interval,
    ratio_interval,
)
from workbench.compare._pareto import Front, pareto
from workbench.compare._statistics import (
    NonInferiority,
    PairedAccuracy,
    PairedPerplexity,
    examples_needed,
    non_inferior,
    paired_accuracy,
    paired_perplexity,
    wilson,
)
from workbench.errors import ArtifactError, InvalidInput
from workbench.nouns import Run

__all__ = [
    "MEASURED_TOGETHER", "Budgets", "Choice", "ClassChange", "Comparison", "Difference", "Drop", "Fastest", "Flip", "Front",
    "LatencyComparison", "Median", "NonInferiority", "PairedAccuracy", "PairedPerplexity", "Ratio", "Rival", "auc_interval",
    "choose",
    "compare_runs", "examples_needed", "fastest", "median_interval", "non_inferior", "paired_accuracy", "paired_perplexity", "pareto",
    "ratio_interval", "reported_test", "wilson",
]  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """Run b against run a: every difference says which way is better, or that it can't be told."""

    a: str  # run ids
    b: str
    differences: tuple[Difference, ...]
    latency: LatencyComparison
    accuracy: PairedAccuracy | None = None  # on the same test examples; None: see why_not_paired
    perplexity: PairedPerplexity | None = None  # the same for language models
    why_not_paired: str = ""
    flips: tuple[Flip, ...] = ()  # broken first, worst first
    classes: tuple[ClassChange, ...] = ()  # the class that lost most first

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def compare_runs(a: Run, b: Run, *, together: tuple[Any, Any] | None = None) -> Comparison:
    """Compare two finished runs from what they kept in their folders.

    `together` is (times of a, times of b), each (restarts, pairs), when their artifacts were timed alternately just now.
    Raises InvalidInput when one of them isn't done.
    """
    problems = [
        f"{run.run_id} is {run.status}, so there is nothing to compare" for run in (a, b) if run.status != "done"
    ]
    if problems:
        raise InvalidInput(problems)
    paired = _paired(a, b)
    return Comparison(
        a=a.run_id, b=b.run_id, differences=differences(a, b, paired.get("accuracy") or paired.get("perplexity")),
        latency=latency(a, b, together), **paired,
    )  # fmt: skip


def _paired(a: Run, b: Run) -> dict[str, Any]:
    """Return the paired fields of a Comparison, or `why_not_paired`."""
    if a.data_sha256 != b.data_sha256:
        return {"why_not_paired": "they were tested on different data"}
    try:
        if _samples.is_language_model(a) and _samples.is_language_model(b):
            return _paired_text(a, b)
        answers_a, answers_b = _samples.answers(a, "test"), _samples.answers(b, "test")
    except ArtifactError as error:
        return {"why_not_paired": error.message}
    if not np.array_equal(answers_a.targets, answers_b.targets):
        return {"why_not_paired": f"they answered {len(answers_a.targets)} and {len(answers_b.targets)} test examples"}
    labels = labels_of(b) or labels_of(a)
    return {
        "accuracy": paired_accuracy(answers_a.correct, answers_b.correct),
        "flips": flips(answers_a, answers_b, labels),
        "classes": per_class(answers_a, answers_b, labels),
    }


def _paired_text(a: Run, b: Run) -> dict[str, Any]:
    (nll_a, tokens_a), (nll_b, tokens_b) = (_samples.likelihoods(run, "test") for run in (a, b))
    if not np.array_equal(tokens_a, tokens_b):
        return {"why_not_paired": "they read different test text"}
    return {"perplexity": paired_perplexity(nll_a, nll_b, tokens_b)}
