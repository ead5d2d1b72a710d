"""Paired statistics on plain arrays: what two models did on the same examples, what two artifacts took side by side.

Sources: Wilson (JASA 22, 1927) for one share; Tango (Statistics in Medicine 17, 1998, 891-908) for a paired difference;
McNemar (Psychometrika 12, 1947) in its exact binomial form.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

import numpy as np

from workbench.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Verdict = Literal["b is better", "b is worse", "cannot be told apart"]
TWO_SIDED_95 = NormalDist().inv_cdf(0.975)
ONE_SIDED_95 = NormalDist().inv_cdf(0.95)


@dataclass(frozen=True)
class PairedAccuracy:
    """How two models did on the same examples; `difference` is share right of b − of a, with its 95 % Tango interval."""

    both: int  # examples that both have right
    only_a: int
    only_b: int
    neither: int
    difference: float
    lo: float
    hi: float
    p_value: float  # exact McNemar, two-sided
    verdict: Verdict
    interval: str = "tango95"

    @property
    def n(self) -> int:
        return self.both + self.only_a + self.only_b + self.neither


@dataclass(frozen=True)
class NonInferiority:
    """Whether it is shown that the new model loses less than `margin`, at one-sided 95 %."""

    difference: float  # new − reference, share right
    bound: float  # with 95 % confidence the true difference is above this
    margin: float
    n: int
    verdict: Literal["shown", "not shown"]


@dataclass(frozen=True)
class PairedPerplexity:
    """Perplexity of b over that of a on the same text, as a change: 0.01 is one per cent worse."""

    change: float  # perplexity of b / perplexity of a − 1
    lo: float
    hi: float
    bound: float  # with one-sided 95 % confidence the true change is below this
    n: int  # sequences
    verdict: Verdict
    interval: str = "t95 over sequences"


def wilson(k: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of the share k/n."""
    if not 0 <= k <= n or n < 1:
        raise InvalidInput([f"a share needs 0 ≤ k ≤ n and n ≥ 1, given k={k}, n={n}"])
    z = TWO_SIDED_95
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    # At the ends the formula is exactly 0 or 1; rounding must not leave it a hair outside or inside.
    return (0.0 if k == 0 else centre - half), (1.0 if k == n else centre + half)


def paired_accuracy(correct_a: ArrayLike, correct_b: ArrayLike) -> PairedAccuracy:
    """Compare two models by which of the same examples, in the same order, each has right (booleans, (n,)).

    The two are told apart only when the exact McNemar test (p < 0.05) and the interval (0 outside) agree on it.
    """
    only_a, only_b, both, n = _table(correct_a, correct_b)
    lo, hi = tango_bound(only_a, only_b, n, -TWO_SIDED_95), tango_bound(only_a, only_b, n, TWO_SIDED_95)
    p_value = mcnemar(only_a, only_b)
    differs = p_value < 0.05 and not lo <= 0 <= hi
    verdict: Verdict = "b is better" if only_b > only_a else "b is worse"
    return PairedAccuracy(
        both=both, only_a=only_a, only_b=only_b, neither=n - both - only_a - only_b,
        difference=(only_b - only_a) / n, lo=lo, hi=hi, p_value=p_value,
        verdict=verdict if differs else "cannot be told apart",
    )  # fmt: skip


def non_inferior(correct_ref: ArrayLike, correct_new: ArrayLike, margin: float) -> NonInferiority:
    """Say whether new loses less than `margin` (a share: 0.01 is one point) of accuracy on the same examples."""
    if not 0 <= margin < 1:
        raise InvalidInput([f"margin is a share in 0 ≤ margin < 1 (0.01 is one point), given {margin!r}"])
    only_ref, only_new, _, n = _table(correct_ref, correct_new)
    bound = tango_bound(only_ref, only_new, n, -ONE_SIDED_95)
    verdict: Literal["shown", "not shown"] = "shown" if bound > -margin else "not shown"
    return NonInferiority((only_new - only_ref) / n, bound, margin, n, verdict)


def paired_perplexity(nll_a: ArrayLike, nll_b: ArrayLike, num_tokens: ArrayLike) -> PairedPerplexity:
    """Compare two language models by the negative log likelihood (nats, summed) of each of the same sequences, (n,).

    Sequences, not tokens, are independent: the standard error is that of a ratio estimator over sequences
    (Cochran, Sampling Techniques, 3rd ed., eq. 6.13).
    """
    from scipy.special import stdtrit

    gaps, tokens = np.asarray(nll_b, float) - np.asarray(nll_a, float), np.asarray(num_tokens, float)
    if gaps.shape != tokens.shape or gaps.ndim != 1 or len(gaps) < 2 or tokens.sum() <= 0:
        raise InvalidInput([f"perplexities are paired over two sequences or more, given {gaps.shape}, {tokens.shape}"])
    n, mean = len(gaps), gaps.sum() / tokens.sum()
    error = math.sqrt(n / (n - 1) * ((gaps - mean * tokens) ** 2).sum()) / tokens.sum()
    two, one = stdtrit(n - 1, 0.975) * error, stdtrit(n - 1, 0.95) * error
    lo, hi, bound = (math.expm1(end) for end in (mean - two, mean + two, mean + one))
    verdict: Verdict = "cannot be told apart" if lo <= 0 <= hi else "b is better" if mean < 0 else "b is worse"
    return PairedPerplexity(math.expm1(mean), lo, hi, bound, n, verdict)


def examples_needed(margin: float) -> int:
    """Return how many examples can show a loss below `margin` (> 0) at all: with fewer, not even equal answers do."""
    return math.floor(ONE_SIDED_95**2 * (1 - margin) / margin) + 1


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the exact two-sided p of McNemar's test: a fair coin thrown once per example that only one has right."""
    n = only_a + only_b
    tail = sum(math.comb(n, i) for i in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * tail / 2**n)


@functools.cache
def tango_bound(only_a: int, only_b: int, n: int, z: float) -> float:
    """Return the end of Tango's score interval of (only_b − only_a)/n on the side of the sign of `z`.

    It is the difference at which the score statistic is −z: found by halving, since the statistic falls steadily.
    """
    low, high = (-1.0, (only_b - only_a) / n) if z < 0 else ((only_b - only_a) / n, 1.0)
    while high - low > 1e-12:
        middle = (low + high) / 2
        if _tango_statistic(only_a, only_b, n, middle) > -z:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _tango_statistic(only_a: int, only_b: int, n: int, difference: float) -> float:
    """Tango 1998, eq. 9 and the restricted maximum-likelihood estimate below it, for P(only b) − P(only a)."""
    b, c = only_b, only_a
    linear = -b - c + (2 * n - b + c) * difference
    constant = -c * difference * (1 - difference)
    share_c = (math.sqrt(max(linear * linear - 8 * n * constant, 0.0)) - linear) / (4 * n)
    variance = n * (2 * share_c + difference * (1 - difference))
    return (
        (b - c - n * difference) / math.sqrt(variance)
        if variance > 0
        else math.copysign(math.inf, b - c - n * difference)
    )


def _table(correct_a: ArrayLike, correct_b: ArrayLike) -> tuple[int, int, int, int]:
    """Return (only a, only b, both, n)."""
    a, b = np.asarray(correct_a), np.asarray(correct_b)
    problems = [
        f"{name} must be booleans, given {each.dtype}" for name, each in (("a", a), ("b", b)) if each.dtype != bool
    ]
    if a.shape != b.shape or a.ndim != 1 or not a.size:
        problems.append(f"paired answers need one equal, non-empty length, given shapes {a.shape} and {b.shape}")
    if problems:
        raise InvalidInput(problems)
    return int((a & ~b).sum()), int((b & ~a).sum()), int((a & b).sum()), a.size
