"""Which of several files of one model answers first: ratios of times taken alternately, quality kept, ties told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from workbench.compare._budgets import Budgets, Drop
from workbench.compare._judging import Candidate, judged, lost
from workbench.compare._latency_ratio import NEVER, LatencyComparison, latency
from workbench.nouns import Run

NEVER_TIMED = LatencyComparison(NEVER)
MARGIN = 1.0  # points (language models: per cent of perplexity) that the fastest file may lose to the best one

Together = Callable[[Run, Run], "tuple[Any, Any] | None"]
"""Two runs → their times (restarts, pairs) when they were timed alternately later on; None when they never were."""


@dataclass(frozen=True)
class Rival:
    """A file that isn't the fastest one, or may be as fast."""

    run_id: str
    format: str
    reason: str  # why it wasn't taken
    how: str = ""  # how its latency is known against the winner's; empty when it was never compared
    ratio: float | None = None  # its time / the winner's; None = not known
    lo: float | None = None
    hi: float | None = None
    is_tied: bool = False  # fast and good enough, and can't be told apart from the winner


@dataclass(frozen=True)
class Fastest:
    """The file that answers first of those that keep the quality, and why."""

    winner: Run | None  # None: nothing was timed
    why: tuple[str, ...]
    rivals: tuple[Rival, ...]  # fastest first; those without a time last

    def to_json(self) -> dict[str, Any]:
        rivals = [asdict(rival) for rival in self.rivals]
        return {
            "winner": self.winner.run_id if self.winner else None,
            "format": _format(self.winner) if self.winner else None,
            "why": list(self.why),
            "rivals": rivals,
        }


def fastest(runs: Sequence[Run], together: Together = lambda a, b: None) -> Fastest:
    """Return the fastest of `runs`, which are one recipe in several formats; reads the validation split only.

    A file that loses more than MARGIN to the best of them on the same validation examples can't win. Of those that can't
    be told apart by latency the one with the fewest bytes does.
    """
    best = max(runs, key=lambda run: (_quality(run), run.run_id), default=None)
    budgets = Budgets(max_drop=MARGIN)
    found = [judged(run, budgets, None, best) for run in runs]
    able = {each.run.run_id: each for each in found if not _against(each)}
    if not able:
        return Fastest(None, ("No run was timed, so none is the fastest.",), tuple(_refused(each) for each in found))
    by_time = _by_time([each.run for each in able.values()], together)
    leader = by_time[0]
    times = {run.run_id: latency(leader, run, together(leader, run)) for run in by_time[1:]}
    if times and not any(each.ratio for each in times.values()):
        alone = tuple(Rival(run.run_id, _format(run), times.get(run.run_id, NEVER_TIMED).how) for run in by_time)
        refused = tuple(_refused(each) for each in found if each.run.run_id not in able)
        return Fastest(None, ("They were never timed together, so none is known to be the fastest.",), alone + refused)
    tied = [leader, *(run for run in by_time[1:] if _is_tied(times[run.run_id]))]
    winner = min(tied, key=lambda run: (able[run.run_id].costs.get("bytes", 0.0), by_time.index(run)))
    rivals = [_rival(run, winner, together) for run in by_time if run is not winner]
    rivals += [_refused(each, winner, together) for each in found if each.run.run_id not in able]
    return Fastest(winner, tuple(_why(able[winner.run_id], rivals, len(runs))), tuple(rivals))


def _quality(run: Run) -> float:
    accuracy, perplexity = run.get("accuracy", split="validation"), run.get("perplexity", split="validation")
    if run.status != "done" or not (accuracy or perplexity):
        return float("-inf")
    return accuracy.value if accuracy else -perplexity.value  # type: ignore[union-attr]


def _against(candidate: Candidate) -> str:
    """Return why a run can't be the fastest; empty when it can."""
    run = candidate.run
    if run.status != "done":
        return candidate.reasons[0]
    if run.get("latency_ms_p50") is None:
        return "its latency was not measured"
    drop = candidate.drop
    return f"it {lost(drop)} against {drop.against}" if drop and drop.value > MARGIN else ""


def _by_time(runs: Sequence[Run], together: Together) -> list[Run]:
    """Sort by latency against the first of them; those that were never timed with it come last."""

    def ratio(run: Run) -> float:
        found = latency(runs[0], run, together(runs[0], run)).ratio
        return found.ratio if found else 1.0 if run is runs[0] else float("inf")

    return sorted(runs, key=lambda run: (ratio(run), run.run_id))


def _is_tied(found: LatencyComparison) -> bool:
    return bool(found.ratio and found.ratio.verdict == "cannot be told apart")


def _rival(run: Run, winner: Run, together: Together) -> Rival:
    found = latency(winner, run, together(winner, run))
    rival = Rival(run.run_id, _format(run), found.note or found.how, found.how)
    if found.ratio is None:
        return rival
    ratio = found.ratio
    reason = f"{ratio.ratio:.2f} × the time of {_format(winner)} [{ratio.lo:.2f}, {ratio.hi:.2f}]"
    if _is_tied(found):
        reason += ": can't be told apart, and it has more bytes"
    return replace(rival, reason=reason, ratio=ratio.ratio, lo=ratio.lo, hi=ratio.hi, is_tied=_is_tied(found))


def _refused(candidate: Candidate, winner: Run | None = None, together: Together = lambda a, b: None) -> Rival:
    run, reason = candidate.run, _against(candidate)
    timed = winner is not None and run.get("latency_ms_p50") is not None and run.status == "done"
    rival = _rival(run, winner, together) if winner and timed else Rival(run.run_id, _format(run), "")
    return replace(rival, reason=reason, is_tied=False)


def _why(winner: Candidate, rivals: Sequence[Rival], num_runs: int) -> list[str]:
    name = _format(winner.run)
    timed = [rival for rival in rivals if rival.ratio is not None]
    slower = [f"{rival.format} {rival.ratio:.2f} [{rival.lo:.2f}, {rival.hi:.2f}]" for rival in timed]
    said = [
        f"{name} is the fastest of {num_runs} formats" + (f"; time / its time: {', '.join(slower)}." if slower else ".")
    ]
    if ties := [rival.format for rival in rivals if rival.is_tied]:
        said = [
            f"{name} and {', '.join(ties)} can't be told apart by latency, and {name} has the fewest bytes.",
            *said[1:],
        ]
        said.append(f"Time / its time: {', '.join(slower)}.")
    return [*said, *_kept_quality(winner.drop)]


def _kept_quality(drop: Drop | None) -> list[str]:
    """Say what the winner lost to the best file, and whether that is shown to lie within the margin."""
    if drop is None:
        return ["Its quality was not held against the others': no answers on validation were kept."]
    if not drop.n:
        return ["None of them is better on validation."]
    shown = f"with 95 % confidence {drop.bound:.2f} {drop.unit} or less"
    doubt = "" if drop.bound <= MARGIN else f", so {MARGIN:g} or less is not shown"
    return [
        f"It {lost(drop)} against {drop.against}, the best of them, on {drop.n} validation examples; {shown}{doubt}."
    ]


def _format(run: Run) -> str:
    record = run.job.get("format")
    return str(record.get("use", "")) if isinstance(record, dict) else str(record or "")
