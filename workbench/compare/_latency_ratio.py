"""The ratio of two latencies: its median, an honest interval, and whether it is noise.

Only times that were taken alternately in one process make a ratio; never the times of two separate runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from workbench.compare import _samples
from workbench.errors import ArtifactError, InvalidInput
from workbench.nouns import Measurement, Run

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

RESAMPLES = 2000
SAME_FILE = 0.002  # two copies of one file, opened one after the other, differ by up to this share (decisions/0005)
MEASURED_TOGETHER = "measured together"
NEVER = "never measured together: use --measure"
RatioVerdict = Literal["faster", "slower", "cannot be told apart"]


@dataclass(frozen=True)
class Ratio:
    """Time of this over time of other; below 1 is faster."""

    ratio: float  # median of the pairwise ratios
    lo: float  # ends of the 95 % interval
    hi: float
    ratio_of_minima: float  # cross-check: the least disturbed sample of each
    restarts: int
    pairs: int  # per restart
    verdict: RatioVerdict
    interval: str  # how lo and hi were made


class Median(NamedTuple):
    """A typical value with the ends of its 95 % interval, and how they were made."""

    value: float
    lo: float
    hi: float
    interval: str


@dataclass(frozen=True)
class LatencyComparison:
    """b's time over a's, and how it is known."""

    how: str  # measured together | through RUN | never measured together: … (with the reason)
    ratio: Ratio | None = None
    measured_alone: bool | None = None  # None: not known
    note: str = ""


def ratio_interval(this: ArrayLike, other: ArrayLike, *, seed: int = 0) -> Ratio:
    """Return the ratio this / other of times sampled alternately, both (restarts, pairs), in any one unit.

    The interval is a bootstrap of the median that resamples restarts and, within them, pairs. Few restarts resampled
    give too narrow an interval (Cameron, Gelbach & Miller, Rev. Econ. Stat. 90, 2008), so it is widened to
    Student's t over the medians of the restarts where that reaches further, and by what two copies of one file show
    anyway. One restart says nothing of the layout of memory: its interval covers the noise of that process only, and
    is named so.
    """
    logs = np.log(_checked(this)) - np.log(_checked(other, np.shape(this)))
    centre, lo, hi, interval = _median(logs, seed)
    lo, hi = lo - SAME_FILE, hi + SAME_FILE
    minima = float(np.min(this) / np.min(other))
    return _ratio(centre, lo, hi, minima, logs.shape[0], logs.shape[1], interval)


def median_interval(samples: ArrayLike, *, seed: int = 0) -> Median:
    """Return the median of positive samples (restarts, samples) with an interval made as in `ratio_interval`."""
    centre, lo, hi, interval = _median(np.log(_checked(samples)), seed)
    return Median(math.exp(centre), math.exp(lo), math.exp(hi), interval)


def quotient(this: Ratio, other: Ratio) -> Ratio:
    """Return this / other of two ratios to one common third, as if the two were independent.

    Ends by the square-and-add rule of Zou & Donner (Statistics in Medicine 27, 2008) on logarithms.
    """
    log = {name: math.log(getattr(this, name)) for name in ("ratio", "lo", "hi")}
    base = {name: math.log(getattr(other, name)) for name in ("ratio", "lo", "hi")}
    centre = log["ratio"] - base["ratio"]
    lo = centre - math.hypot(log["ratio"] - log["lo"], base["hi"] - base["ratio"])
    hi = centre + math.hypot(log["hi"] - log["ratio"], base["ratio"] - base["lo"])
    minima = this.ratio_of_minima / other.ratio_of_minima
    restarts, pairs = min(this.restarts, other.restarts), min(this.pairs, other.pairs)
    return _ratio(centre, lo, hi, minima, restarts, pairs, "of two ratios, added in quadrature")


def _ratio(centre: float, lo: float, hi: float, minima: float, restarts: int, pairs: int, interval: str) -> Ratio:
    """Make a Ratio from logarithms."""
    verdict: RatioVerdict = "cannot be told apart" if lo <= 0 <= hi else "faster" if centre < 0 else "slower"
    return Ratio(math.exp(centre), math.exp(lo), math.exp(hi), minima, restarts, pairs, verdict, interval)


def latency(a: Run, b: Run, together: tuple[Any, Any] | None = None) -> LatencyComparison:
    """Return b / a, from `together` (times of a, of b), from one run that timed both, or through a common third."""
    if together is not None:
        return LatencyComparison(MEASURED_TOGETHER, ratio_interval(together[1], together[0]))
    if a.run_id == b.run_id:
        return LatencyComparison("the same run")
    try:
        times_a, times_b = _times(a), _times(b)
    except ArtifactError as error:
        return LatencyComparison(NEVER, note=error.message)
    for run, times in ((b, times_b), (a, times_a)):
        if a.run_id in times and b.run_id in times:
            return _with_note(MEASURED_TOGETHER, ratio_interval(times[b.run_id], times[a.run_id]), [run])
    common = [run_id for run_id in times_b if run_id in times_a]
    if not common:
        return LatencyComparison(NEVER)
    if different := _different_conditions(a, b):
        return LatencyComparison(NEVER, note=different)
    third = common[0]
    ratio = quotient(
        ratio_interval(times_b[b.run_id], times_b[third]), ratio_interval(times_a[a.run_id], times_a[third])
    )
    return _with_note(f"through {third}, timed with each of them", ratio, [a, b])


def _times(run: Run) -> dict[str, Any]:
    """Return run id → (restarts, pairs) times of everything that was timed in a run, its parent before its reference."""
    kept = _samples.arrays(run, "latency.npz")
    roles = {"parent_ms": run.parent, "reference_ms": run.reference, "this_ms": run.run_id}
    return {run_id: kept[name] for name, run_id in roles.items() if run_id and name in kept}


def _conditions(run: Run) -> Mapping[str, Any]:
    measured: Measurement | None = run.get("latency_ms_p50")
    return measured.conditions if measured else {}


def _different_conditions(a: Run, b: Run) -> str:
    """Return what makes two ratios to one third incomparable; empty when nothing does."""
    of_a, of_b = _conditions(a), _conditions(b)
    different = [f"{name} {of_a.get(name)} and {of_b.get(name)}" for name in ("threads", "batch")
                 if of_a.get(name) != of_b.get(name)]  # fmt: skip
    if a.machine.get("cpu") != b.machine.get("cpu"):
        different.append(f"on {a.machine.get('cpu')} and {b.machine.get('cpu')}")
    return f"timed under different conditions: {', '.join(different)}" if different else ""


def _with_note(how: str, ratio: Ratio, timed_in: list[Run]) -> LatencyComparison:
    told = [_conditions(run).get("measured_alone") for run in timed_in]
    alone = None if None in told else all(told)
    note = "" if alone is not False else "something else ran while it was timed"
    return LatencyComparison(how, ratio, alone, note)


def _checked(samples: ArrayLike, shape: tuple[int, ...] | None = None) -> np.ndarray:
    times = np.asarray(samples, dtype=np.float64)
    if times.ndim != 2 or not times.size or (shape is not None and times.shape != shape):
        raise InvalidInput([f"interleaved samples are arrays of one shape (restarts, samples), given {times.shape}"])
    if not (np.isfinite(times) & (times > 0)).all():
        raise InvalidInput(["interleaved samples must be positive numbers"])
    return times


def _median(logs: np.ndarray, seed: int) -> tuple[float, float, float, str]:
    """Return median, ends of its interval and the interval's name."""
    lo, hi = _bootstrap(logs, seed)
    if len(logs) == 1:
        return float(np.median(logs)), lo, hi, "bootstrap95 of median, within one process"
    middle, half = _student(np.median(logs, axis=1))
    interval = "bootstrap95 of median, at least t95 over restarts"
    return float(np.median(logs)), min(lo, middle - half), max(hi, middle + half), interval


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
