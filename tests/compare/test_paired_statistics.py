"""Published worked examples, and properties that every pair of answers must have."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import compare
from workbench.compare._statistics import ONE_SIDED_95, mcnemar, tango_bound
from workbench.errors import InvalidInput

counts = st.tuples(*[st.integers(0, 60)] * 4).filter(any)


def table(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = np.repeat([True, True, False, False], (both, only_a, only_b, neither))
    b = np.repeat([True, False, True, False], (both, only_a, only_b, neither))
    return a, b


@pytest.mark.parametrize(
    ("k", "n", "lo", "hi"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_limits_of_newcombes_table(k: int, n: int, lo: float, hi: float) -> None:
    """Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3."""
    assert compare.wilson(k, n) == pytest.approx((lo, hi), abs=5e-5)


def test_tango_and_mcnemar_give_the_published_airway_example() -> None:
    """Bentur 2009 (1, 1, 7, 12): Fagerland, Lydersen & Laake, BMC Med. Res. Methodology 13:91 (2013) for the exact p,
    and Statistics in Medicine 33 (2014) 2850-2875 for the interval: −0.517 to −0.026 (their difference is a − b)."""
    found = compare.paired_accuracy(*table(1, 1, 7, 12))
    assert (-found.hi, -found.lo) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert found.p_value == pytest.approx(0.070, abs=5e-4)
    assert found.verdict == "cannot be told apart"  # the exact test does not follow the interval here


def test_tango_gives_the_limits_of_an_independent_program() -> None:
    """PropCIs (R) 0.3-0, scoreci.mp(25, 28, 618, conf.level = 0.9): −0.0148 to 0.0247."""
    limits = tango_bound(25, 28, 618, -ONE_SIDED_95), tango_bound(25, 28, 618, ONE_SIDED_95)
    assert limits == pytest.approx((-0.0148, 0.0247), abs=5e-5)


def test_mcnemar_gives_the_published_sputum_example() -> None:
    """Armitage & Berry 1994, p. 127: 12 and 2 discordant of 50; exact two-sided p = 0.0129."""
    assert mcnemar(12, 2) == pytest.approx(0.0129, abs=5e-5)


def test_no_disagreement_has_a_closed_form_bound() -> None:
    for n in (10, 149, 900):
        assert tango_bound(0, 0, n, -ONE_SIDED_95) == pytest.approx(
            -(ONE_SIDED_95**2) / (n + ONE_SIDED_95**2), abs=1e-9
        )


@given(counts)
def test_a_paired_interval_holds_its_difference_and_turns_around_with_its_arguments(cells: tuple[int, ...]) -> None:
    a, b = table(*cells)
    one, other = compare.paired_accuracy(a, b), compare.paired_accuracy(b, a)
    assert -1 <= one.lo <= one.difference + 1e-9 and one.difference - 1e-9 <= one.hi <= 1
    assert (one.lo, one.hi) == pytest.approx((-other.hi, -other.lo), abs=1e-9)
    assert one.p_value == other.p_value and 0 < one.p_value <= 1
    assert (one.both, one.only_a, one.only_b, one.neither) == cells and one.n == sum(cells)


@given(counts)
def test_a_verdict_agrees_with_test_and_interval(cells: tuple[int, ...]) -> None:
    found = compare.paired_accuracy(*table(*cells))
    if found.verdict == "cannot be told apart":
        assert found.p_value >= 0.05 or found.lo <= 0 <= found.hi
    else:
        assert found.p_value < 0.05 and (found.lo > 0 if found.verdict == "b is better" else found.hi < 0)


def test_tango_covers_the_true_difference_nineteen_times_of_twenty() -> None:
    random, covered, repeats = np.random.default_rng(0), 0, 2000
    only_a, only_b, n = 0.03, 0.05, 150
    for draw in random.multinomial(n, [only_a, only_b, 1 - only_a - only_b], size=repeats):
        lo, hi = (tango_bound(int(draw[0]), int(draw[1]), n, z) for z in (-1.959964, 1.959964))
        covered += lo <= only_b - only_a <= hi
    assert 0.935 <= covered / repeats <= 0.975


def test_equal_answers_of_few_examples_show_nothing_and_of_enough_do() -> None:
    for margin in (0.005, 0.01, 0.05):
        needed = compare.examples_needed(margin)
        enough, short = np.ones(needed, bool), np.ones(needed - 1, bool)
        assert compare.non_inferior(enough, enough, margin).verdict == "shown"
        assert compare.non_inferior(short, short, margin).verdict == "not shown"


def test_a_loss_at_the_margin_is_not_shown_to_be_below_it() -> None:
    """At a true loss equal to the margin, "shown" may be said in at most one case of twenty."""
    random, said, repeats, n = np.random.default_rng(1), 0, 2000, 1000
    for draw in random.multinomial(n, [0.03, 0.02, 0.95], size=repeats):
        bound = tango_bound(int(draw[0]), int(draw[1]), n, -ONE_SIDED_95)
        said += bound > -0.01
    assert said / repeats <= 0.065


def test_bad_pairs_are_refused_with_every_problem() -> None:
    with pytest.raises(InvalidInput) as caught:
        compare.paired_accuracy(np.array([1, 0, 1]), np.array([True]))
    assert len(caught.value.problems) == 2
    for margin in (-0.1, 1.0, float("nan")):
        with pytest.raises(InvalidInput, match="one point"):
            compare.non_inferior(np.ones(3, bool), np.ones(3, bool), margin)
    for k, n in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(InvalidInput):
            compare.wilson(k, n)


def test_perplexity_is_paired_over_sequences() -> None:
    random = np.random.default_rng(2)
    hard = random.normal(120, 30, 200)  # sequences differ far more than the two models do
    worse = hard + 0.05 * 64 + random.normal(0, 1, 200)
    found = compare.paired_perplexity(hard, worse, np.full(200, 64))
    assert found.verdict == "b is worse"
    assert found.lo < math.expm1(0.05) < found.hi and found.hi - found.lo < 0.01
    assert found.change < found.bound < found.hi
    assert compare.paired_perplexity(hard, hard, np.full(200, 64)).verdict == "cannot be told apart"


def test_the_perplexity_bound_fails_one_time_of_twenty() -> None:
    random, below, repeats = np.random.default_rng(3), 0, 2000
    for _ in range(repeats):
        tokens = random.integers(20, 100, 60)
        gaps = tokens * random.normal(0.01, 0.05, 60)
        below += compare.paired_perplexity(np.zeros(60), gaps, tokens).bound > math.expm1(0.01)
    assert below / repeats == pytest.approx(0.95, abs=0.02)


def test_texts_of_one_length_have_students_interval() -> None:
    """With equally many tokens in each sequence the ratio estimator is the mean of the sequences."""
    from scipy.stats import ttest_1samp

    before = np.array([10.0, 12.0, 9.0, 11.0])
    gaps = np.array([0.4, 1.0, -0.2, 0.8])
    found = compare.paired_perplexity(before, before + gaps, np.full(4, 10))
    wanted = ttest_1samp(gaps / 10, 0).confidence_interval(0.95)
    assert np.log1p([found.lo, found.hi]) == pytest.approx([wanted.low, wanted.high])
    one_sided = ttest_1samp(gaps / 10, 0, alternative="less").confidence_interval(0.95)
    assert np.log1p(found.bound) == pytest.approx(one_sided.high)


def test_the_interval_of_an_auc_is_delongs_for_groups_of_any_sizes() -> None:
    """V10 and V01 of the paper, eq. 5, counted pair by pair; ties are half."""
    random = np.random.default_rng(0)
    above, below = np.round(random.normal(1, 1, 9), 1), np.round(random.normal(0, 1, 30), 1)
    wins = (above[:, None] > below) + 0.5 * (above[:, None] == below)
    error = np.sqrt(np.var(wins.mean(1), ddof=1) / 9 + np.var(wins.mean(0), ddof=1) / 30)
    auc, lo, hi = compare.auc_interval(above, below)
    assert auc == pytest.approx(wins.mean())
    assert (lo, hi) == pytest.approx((auc - 1.959964 * error, min(1.0, auc + 1.959964 * error)), abs=1e-6)
