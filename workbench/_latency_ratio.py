"""The ratio of two latencies from interleaved samples: its median, an honest interval, and whether it is noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from workbench._statistics import SAME
from workbench.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

RESAMPLES = 1000


@dataclass(frozen=True)
class Ratio:
    """Time of this over time of other; below 1 is faster."""

    ratio: float  # median of the pairwise ratios
    lo: float  # ends of the 95 % interval
    hi: float
    ratio_of_minima: float  # cross-check: the least disturbed sample of each
    restarts: int
    pairs: int  # per restart
    verdict: Literal["faster", "slower", "cannot be told apart"]
    interval: str  # how lo and hi were made


def ratio_interval(this: ArrayLike, other: ArrayLike, *, seed: int = 0) -> Ratio:
    """Return the ratio this / other of times sampled alternately, both (restarts, pairs), in any one unit.

    The interval is a bootstrap of the median that resamples restarts and, within them, pairs. Few restarts resampled
    give too narrow an interval (Cameron, Gelbach & Miller, Rev. Econ. Stat. 90, 2008), so it is widened to
    Student's t over the medians of the restarts where that reaches further. One restart says nothing of the layout
    of memory: its interval covers the noise of that process only, and is named so.
    """
    logs = np.log(_checked(this)) - np.log(_checked(other, np.shape(this)))
    centre = float(np.median(logs))
    lo, hi = _bootstrap(logs, seed)
    interval = "bootstrap95 of median, within one process"
    if len(logs) > 1:
        middle, half = _student(np.median(logs, axis=1))
        lo, hi = min(lo, middle - half), max(hi, middle + half)
        interval = "bootstrap95 of median, at least t95 over restarts"
    verdict: Literal["faster", "slower", "cannot be told apart"] = "cannot be told apart"
    if not lo <= 0 <= hi:
        verdict = "faster" if centre < 0 else "slower"
    return Ratio(
        math.exp(centre),
        math.exp(lo),
        math.exp(hi),
        float(np.min(this) / np.min(other)),
        *logs.shape,
        verdict,
        interval,
    )


def quotient(this: Ratio, other: Ratio) -> Ratio:
    """Return this / other of two ratios to one common third, as if the two were independent.

    Ends by the square-and-add rule of Zou & Donner (Statistics in Medicine 27, 2008) on logarithms.
    """
    log = {name: math.log(getattr(this, name)) for name in ("ratio", "lo", "hi")}
    base = {name: math.log(getattr(other, name)) for name in ("ratio", "lo", "hi")}
    centre = log["ratio"] - base["ratio"]
    lo = centre - math.hypot(log["ratio"] - log["lo"], base["hi"] - base["ratio"])
    hi = centre + math.hypot(log["hi"] - log["ratio"], base["ratio"] - base["lo"])
    verdict: Literal["faster", "slower", "cannot be told apart"] = "cannot be told apart"
    if not lo <= 0 <= hi:
        verdict = "faster" if centre < 0 else "slower"
    return Ratio(
        math.exp(centre), math.exp(lo), math.exp(hi), this.ratio_of_minima / other.ratio_of_minima,
        min(this.restarts, other.restarts), min(this.pairs, other.pairs), verdict, "of two ratios, added in quadrature",
    )  # fmt: skip


def _checked(samples: ArrayLike, shape: tuple[int, ...] | None = None) -> np.ndarray:
    times = np.asarray(samples, dtype=np.float64)
    if times.ndim != 2 or not times.size or (shape is not None and times.shape != shape):
        raise InvalidInput([f"interleaved samples are two arrays of one shape (restarts, pairs), given {times.shape}"])
    if not (np.isfinite(times) & (times > 0)).all():
        raise InvalidInput(["interleaved samples must be positive times"])
    return times


def _bootstrap(logs: np.ndarray, seed: int) -> tuple[float, float]:
    """Return the 95 % percentile interval of the median, (restarts, pairs) resampled on both levels."""
    random = np.random.default_rng(seed)
    restarts, pairs = logs.shape
    which_restart = random.integers(0, restarts, (RESAMPLES, restarts, 1))
    which_pair = random.integers(0, pairs, (RESAMPLES, restarts, pairs))
    medians = np.median(logs[which_restart, which_pair].reshape(RESAMPLES, -1), axis=1)
    lo, hi = np.quantile(medians, (0.025, 0.975))
    return float(lo), float(hi)


def _student(medians: np.ndarray) -> tuple[float, float]:
    """Return mean and half width of the 95 % t interval over the medians of the restarts."""
    from scipy.special import stdtrit

    half = stdtrit(len(medians) - 1, 0.975) * medians.std(ddof=1) / math.sqrt(len(medians))
    return float(medians.mean()), float(half)
