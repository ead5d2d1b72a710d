"""The attack tells members from others exactly as far as their losses do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from handmade import NUM_EXAMPLES, HandmadeContext, kept
from scipy.stats import mannwhitneyu

from workbench import compare
from workbench.catalog import make
from workbench.errors import InvalidInput
from workbench.nouns import Examples, Splits


class TwoGroups(HandmadeContext):
    """The train split has its own pixels: a model can answer those better."""

    def __init__(self, folder: Path, model: object) -> None:
        super().__init__(folder, {"this": model})
        random = np.random.default_rng(7)
        targets = random.integers(0, 4, NUM_EXAMPLES)
        train, others = (
            Examples({"pixels": random.normal(size=(NUM_EXAMPLES, 3)).astype(np.float32)}, targets) for _ in range(2)
        )
        self.data = Splits(train, others, others, others)
        self.known = {row.tobytes(): target for row, target in zip(train.inputs["pixels"], targets)}


def measured(folder: Path, *, sure: float):  # noqa: ANN201
    """Measure a model that answers what it was trained on right, `sure` logits above the rest, and guesses otherwise."""
    noise = np.random.default_rng(3)

    def model(pixels: np.ndarray) -> np.ndarray:
        outputs = noise.normal(size=(len(pixels), 4))
        for row, logits in zip(pixels, outputs):
            if row.tobytes() in ctx.known:
                logits[ctx.known[row.tobytes()]] += sure
        return outputs

    ctx = TwoGroups(folder, model)
    return ctx, {each.name: each for each in make("measure", "membership").measure(ctx)}  # type: ignore[attr-defined]


def test_a_model_that_learnt_by_heart_tells_everything(tmp_path: Path) -> None:
    _, found = measured(tmp_path, sure=20)
    assert found["membership_auc"].value == 1.0
    assert found["membership_found"].value == 1.0 and found["membership_found"].k == NUM_EXAMPLES


def test_a_model_that_learnt_nothing_is_at_chance_within_its_interval(tmp_path: Path) -> None:
    ctx, found = measured(tmp_path, sure=0)
    auc = found["membership_auc"]
    assert auc.lo < 0.5 < auc.hi and 0.1 < auc.hi - auc.lo < 0.25
    assert found["membership_found"].value < 0.1
    samples = kept(ctx, auc.samples_in)
    assert samples["members"].shape == samples["others"].shape == (NUM_EXAMPLES,)


def test_a_model_that_answers_everything_alike_gives_nobody_away(tmp_path: Path) -> None:
    """Losses that are all the same lie on the threshold: counting those would tell of others as often as of members."""
    ctx = TwoGroups(tmp_path, lambda pixels: np.zeros((len(pixels), 4)))
    found = {each.name: each for each in make("measure", "membership").measure(ctx)}  # type: ignore[attr-defined]
    assert found["membership_found"].k == 0 and found["membership_auc"].value == 0.5


def test_auc_and_interval_are_those_of_the_textbook() -> None:
    random = np.random.default_rng(0)
    above, below = random.normal(0.5, 1, 80), random.normal(0, 1, 120)
    auc, lo, hi = compare.auc_interval(above, below)
    assert auc == pytest.approx(mannwhitneyu(above, below).statistic / (80 * 120))
    means = []
    for _ in range(2000):
        first, second = random.choice(above, 80), random.choice(below, 120)
        means.append((first[:, None] > second).mean() + (first[:, None] == second).mean() / 2)
    assert (lo, hi) == pytest.approx(tuple(np.quantile(means, (0.025, 0.975))), abs=0.02)
    assert compare.auc_interval([1, 1], [1, 1]) == (0.5, 0.5, 0.5)
    with pytest.raises(InvalidInput, match="2 or more"):
        compare.auc_interval([1], [1, 2])
