"""Two answers are the same when they differ by rounding alone: as wide as sums in another order need, and no wider."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from workbench.lessons._same import same, within

MANY = np.random.default_rng(0).normal(size=10_000).astype(np.float32)


@pytest.mark.parametrize(
    ("given", "right"),
    [
        (1.000001, 1.0), (-0.0, 0.0), (3, 3.0), (np.float32(0.1), 0.1), ([1, (2.0,)], (1, [2])), ({"a": [1.0]}, {"a": (1,)}), (None, None),
        (MANY[::-1].sum(), float(MANY.astype(np.float64).sum())), (MANY + np.float32(1e-7), MANY), (np.array([np.nan]), np.array([np.nan])),
    ],
)  # fmt: skip
def test_rounding_makes_no_difference(given: Any, right: Any) -> None:
    assert same(given, right)


@pytest.mark.parametrize(
    ("given", "right"),
    [
        (1.0001, 1.0), (1.0, 0.0), (True, 1), (1, True), ("1", 1), (None, 0), ([1], [1, 2]), ({"a": 1}, {"b": 1}), (float("nan"), 1.0),
        (MANY * np.float32(1.001), MANY), (MANY[:-1], MANY), (MANY.reshape(-1, 1), MANY), (MANY > 0, MANY), (MANY.tolist(), MANY),
    ],
)  # fmt: skip
def test_a_difference_is_one(given: Any, right: Any) -> None:
    assert not same(given, right)


def test_an_exercise_may_allow_a_share() -> None:
    assert within(0.02)(1.019, 1.0) and not within(0.02)(1.03, 1.0)
