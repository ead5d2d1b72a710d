"""Runs inside a fresh process: the same step on other choices of calibration examples, lowered and asked on validation."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench import artifact, machine
from workbench.describe import model_card
from workbench.job import Job
from workbench.nouns import Examples, Splits
from workbench.one_more import OneMore
from workbench.recorder import Recorder
from workbench.states import States, data_hash
from workbench.store import Store


def cells(
    _: list[Any],
    *,
    job: Mapping[str, Any],
    step: Mapping[str, Any],
    store: str,
    saved: str,
    counts: Sequence[int],
    seeds: int,
) -> list[dict[str, Any]]:
    """Return one record per number of examples and seed: right answers on validation (k of n), and classes that were missing."""
    made = Job.from_json(job)
    splits, found = made.data.load(), []
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder, machine.Quiet() as quiet:
        said = Recorder(Path(folder), "calibration")

        def states_with(data: Splits) -> States:
            return States(made, data, data_hash(splits), Store(Path(store)), said, quiet)

        before = states_with(splits).after_all()
        card, plain = made.cards(model_card(made))[-1], artifact.read(Path(saved))
        for count, seed, chosen in _choices(splits.calibration, counts, seeds):
            states = states_with(replace(splits, calibration=chosen))
            asked = OneMore(states, before, card, plain)
            outputs = asked({**step, "num_calibration": None}, "validation", "")
            right = outputs.argmax(-1) == splits.validation.targets
            missing = np.setdiff1d(splits.calibration.targets, chosen.targets)
            found.append(
                {"count": count, "seed": seed, "k": int(right.sum()), "n": len(right), "missing": len(missing)}
            )
    return found


def _choices(examples: Examples, counts: Sequence[int], seeds: int) -> Iterator[tuple[int, int, Examples]]:
    """Yield (number, seed, examples); seeds of one number differ in which examples, and all of them are one choice."""
    for count in counts:
        for seed in range(1 if count >= len(examples) else seeds):
            order = np.random.default_rng(seed).permutation(len(examples))
            yield count, seed, examples.take(np.sort(order[:count]))
