"""A/A controls and power of the latency ratio on synthetic noise; no clock is read here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from crafted import interleaved

from workbench import compare
from workbench.compare._latency_ratio import _bootstrap, quotient
from workbench.errors import InvalidInput

REPEATS = 100


def said(ratio: float, *, seed: int, layout: float, restarts: int = 3, pairs: int = 34) -> list[str]:
    random = np.random.default_rng(seed)
    samples = [interleaved(random, ratio, layout=layout, restarts=restarts, pairs=pairs) for _ in range(REPEATS)]
    return [compare.ratio_interval(this, other).verdict for this, other in samples]


@pytest.mark.parametrize("layout", [0.0, 0.003, 0.01])
def test_equal_artifacts_are_told_apart_at_most_one_time_of_twenty(layout: float) -> None:
    """Also when each process has luck of its own with the layout of memory, which a plain bootstrap misses."""
    verdicts = said(1.0, seed=0, layout=layout)
    assert sum(verdict != "cannot be told apart" for verdict in verdicts) <= 0.075 * REPEATS


def test_three_percent_is_found_nineteen_times_of_twenty() -> None:
    verdicts = said(0.97, seed=1, layout=0.003)
    assert verdicts.count("faster") >= 0.95 * REPEATS and "slower" not in verdicts


def test_drift_and_disturbed_samples_do_not_move_the_ratio() -> None:
    this, other = interleaved(np.random.default_rng(2), 0.5, restarts=5, pairs=40)
    found = compare.ratio_interval(this, other)
    assert found.ratio == pytest.approx(0.5, rel=0.02) and found.lo < 0.5 < found.hi
    spoilt = this.copy()
    spoilt[:, ::10] *= 30  # the machine did something else
    assert compare.ratio_interval(spoilt, other).ratio == pytest.approx(0.5, rel=0.03)


def test_turning_the_two_around_turns_the_ratio_around() -> None:
    this, other = interleaved(np.random.default_rng(3), 0.8)
    one, back = compare.ratio_interval(this, other), compare.ratio_interval(other, this)
    assert one.ratio == pytest.approx(1 / back.ratio)
    assert (one.lo, one.hi) == pytest.approx((1 / back.hi, 1 / back.lo), rel=2e-3)
    assert (one.verdict, back.verdict) == ("faster", "slower")


def test_the_same_seed_gives_the_same_interval() -> None:
    this, other = interleaved(np.random.default_rng(4), 1.0)
    assert compare.ratio_interval(this, other, seed=7) == compare.ratio_interval(this, other, seed=7)


def test_one_restart_names_its_interval_so() -> None:
    this, other = interleaved(np.random.default_rng(5), 1.0, restarts=1)
    assert "one process" in compare.ratio_interval(this, other).interval


def test_restarts_that_disagree_widen_the_interval() -> None:
    random = np.random.default_rng(6)
    calm = compare.ratio_interval(*interleaved(random, 1.0, layout=0.0))
    moved = compare.ratio_interval(*interleaved(random, 1.0, layout=0.05))
    assert moved.hi - moved.lo > 3 * (calm.hi - calm.lo)


def test_the_bootstrap_resamples_restarts_too() -> None:
    """Without noise inside the processes, only resampled restarts can move the median."""
    lo, hi = _bootstrap(np.repeat([[0.0], [0.1], [0.2]], 10, axis=1), seed=0)
    assert (lo, hi) == pytest.approx((0.0, 0.2), abs=1e-9)


def test_the_bootstrap_resamples_pairs_too() -> None:
    """The median of 101 normal values moves by 1.25 / sqrt(101) standard deviations."""
    logs = np.random.default_rng(8).normal(0, 0.1, (1, 101))
    lo, hi = _bootstrap(logs, seed=0)
    assert hi - lo == pytest.approx(2 * 1.96 * 0.1 * 1.253 / np.sqrt(101), rel=0.4)


def test_a_typical_value_is_the_median_with_the_same_interval() -> None:
    samples = np.exp(np.random.default_rng(9).normal(3, 0.1, (4, 20)))
    found = compare.median_interval(samples)
    assert found.value == pytest.approx(float(np.exp(np.median(np.log(samples)))))
    assert found.lo < found.value < found.hi and "t95 over restarts" in found.interval


def test_a_ratio_of_ratios_is_wider_than_each() -> None:
    random = np.random.default_rng(7)
    one, other = (compare.ratio_interval(*interleaved(random, ratio)) for ratio in (0.6, 0.8))
    found = quotient(one, other)
    assert found.ratio == pytest.approx(one.ratio / other.ratio)
    assert found.hi / found.lo > max(one.hi / one.lo, other.hi / other.lo)
    assert found.verdict == "faster" and quotient(one, one).verdict == "cannot be told apart"
    exact, uneven = replace(one, ratio=0.6, lo=0.6, hi=0.6), replace(other, ratio=0.8, lo=0.5, hi=0.9)
    assert (quotient(exact, uneven).lo, quotient(exact, uneven).hi) == pytest.approx((0.6 / 0.9, 0.6 / 0.5))
    assert (quotient(uneven, exact).lo, quotient(uneven, exact).hi) == pytest.approx((0.5 / 0.6, 0.9 / 0.6))


@pytest.mark.parametrize(
    ("this", "other"),
    [
        (np.ones((3, 4)), np.ones((3, 5))),
        (np.ones(4), np.ones(4)),
        (np.ones((0, 4)), np.ones((0, 4))),
        (np.zeros((3, 4)), np.ones((3, 4))),
        (np.full((3, 4), np.nan), np.ones((3, 4))),
    ],
)
def test_samples_that_make_no_ratio_are_refused(this: np.ndarray, other: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="interleaved"):
        compare.ratio_interval(this, other)


def test_no_difference_is_claimed_that_two_copies_of_a_file_show() -> None:
    """Samples without any noise: only what is known of memory layouts stands between 0.1 % and a verdict."""
    other = np.ones((5, 30))
    assert compare.ratio_interval(1.001 * other, other).verdict == "cannot be told apart"
    assert compare.ratio_interval(1.01 * other, other).verdict == "slower"
