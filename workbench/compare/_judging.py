"""Hold one run against budgets: what it costs, what it lost on validation, and every reason against it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from workbench.compare import _samples
from workbench.compare._budgets import Budgets, Drop
from workbench.compare._statistics import examples_needed, non_inferior, paired_perplexity
from workbench.errors import ArtifactError
from workbench.nouns import Measurement, Run

PLAIN_TRAINING = "train"  # a run whose every step is this one is a model as trained: its own parent

Timing = tuple[int, int, str]  # threads, batch, machine: only equal ones can be ranked together


@dataclass
class Candidate:
    run: Run
    accuracy: float | None = None  # validation; None for language models
    perplexity: float | None = None  # validation
    costs: dict[str, float] = field(default_factory=dict)  # "bytes", "ms", "memory": what is known and trusted
    untimed: str = ""  # why there is no trusted latency
    drop: Drop | None = None
    reasons: list[str] = field(default_factory=list)  # against it; empty = it fits
    ranked_by: dict[str, float] | None = None  # costs that take the place of bytes and latency; None = those
    unproven: bool = False  # the only reason is that too few examples show its drop

    @property
    def quality(self) -> float:
        """Higher is better; −infinity when nothing was measured."""
        if self.accuracy is not None:
            return self.accuracy
        return -math.inf if self.perplexity is None else -self.perplexity

    @property
    def ranking(self) -> dict[str, float]:
        """What it is ranked by, as far as it is known."""
        if self.ranked_by is not None:
            return self.ranked_by
        return {name: self.costs[name] for name in ("bytes", "ms") if name in self.costs}

    @property
    def product(self) -> float:
        """Bytes × milliseconds (or the one that is known): halving either counts the same."""
        return math.prod(self.ranking.values())


def _timing(measured: Measurement, run: Run) -> Timing:
    how = measured.conditions
    return int(how.get("threads", 1)), int(how.get("batch", 1)), _machine(run)


def _machine(run: Run) -> str:
    """Return what tells machines apart; the name of a processor alone is often that of a whole family ("AMD EPYC")."""
    facts = run.machine
    cores = [f"{facts['cores']} cores"] if facts.get("cores") else []
    return ", ".join(filter(None, [str(facts.get("cpu", "")), *cores, " ".join(facts.get("isa") or ())]))


def common_timing(runs: Iterable[Run]) -> Timing | None:
    """Return the conditions that most latencies were taken under (ties: the smallest); None when there are none."""
    found = Counter(
        _timing(each, run) for run in runs for each in run.measurements if each.name == "latency_ms_p50"
    )  # fmt: skip
    return min(found, key=lambda timing: (-found[timing], timing)) if found else None


def base_of(run: Run, by_id: dict[str, Run], baseline: str | None) -> Run | None:
    """Return the run to take the drop against; None when it has none."""
    if baseline is not None:
        return by_id[baseline]
    if run.parent is not None:
        return by_id.get(run.parent) or _beside(run, run.parent)
    plain = all(isinstance(step, dict) and step.get("use") == PLAIN_TRAINING for step in run.job.get("steps") or ())
    return run if plain else None


def _beside(run: Run, run_id: str) -> Run:
    """Return what is needed of a run that wasn't handed over: where it lies (beside this one, in the same store)."""
    return replace(run, run_id=run_id, folder=str(Path(run.folder).parent / run_id))


def judged(run: Run, budgets: Budgets, timing: Timing | None, base: Run | None) -> Candidate:
    candidate = Candidate(run)
    if run.status != "done":
        message = (run.error or {}).get("message", "")
        candidate.reasons.append(f"it is {run.status}" + (f": {message}" if message else ""))
        return candidate
    _read(candidate, timing)
    _hold_costs(candidate, budgets)
    _hold_accuracy(candidate, budgets)
    _hold_drop(candidate, budgets, base)
    return candidate


def _read(candidate: Candidate, timing: Timing | None) -> None:
    """Take from the record what choosing may see: costs, and the validation split."""
    times = []
    for each in candidate.run.measurements:
        if each.name == "latency_ms_p50":
            times.append(each)
        elif each.name == "artifact_bytes":
            candidate.costs["bytes"] = each.value
        elif each.name == "peak_memory_bytes":
            candidate.costs["memory"] = each.value
        elif each.name == "accuracy" and each.conditions.get("split") == "validation":
            candidate.accuracy = each.value
        elif each.name == "perplexity" and each.conditions.get("split") == "validation":
            candidate.perplexity = each.value
    comparable = [each for each in times if _timing(each, candidate.run) == timing]
    if not times:
        candidate.untimed = "its latency was not measured"
    elif not comparable:
        candidate.untimed = (
            f"its latency was taken with {_words(_timing(times[0], candidate.run))}, the others' with {_words(timing)}"
        )
    elif comparable[0].conditions.get("measured_alone") is not True:
        candidate.untimed = "its latency was not measured alone, so it is left out"
    else:
        candidate.costs["ms"] = comparable[0].value


def _words(timing: Timing | None) -> str:
    if timing is None:
        return "nothing"
    threads, batch, machine = timing
    return f"threads {threads}, batch {batch}" + (f" on {machine}" if machine else "")


def _hold_costs(candidate: Candidate, budgets: Budgets) -> None:
    limits = (
        ("bytes", budgets.max_bytes, "its size was not measured", "{:,.0f} bytes"),
        ("ms", budgets.max_latency_ms, candidate.untimed, "{:.4g} ms"),
        ("memory", budgets.max_memory_bytes, "its memory was not measured", "{:,.0f} bytes of memory"),
    )
    for name, limit, missing, words in limits:
        if limit is None:
            continue
        if name not in candidate.costs:
            candidate.reasons.append(missing)
        elif candidate.costs[name] > limit:
            candidate.reasons.append(f"{words.format(candidate.costs[name])}, budget {words.format(limit)}")


def _hold_accuracy(candidate: Candidate, budgets: Budgets) -> None:
    if budgets.min_accuracy is None:
        return
    if candidate.accuracy is None:
        candidate.reasons.append("its accuracy was not measured on validation")
    elif candidate.accuracy < budgets.min_accuracy:
        candidate.reasons.append(f"accuracy {candidate.accuracy:.2%} on validation, wanted {budgets.min_accuracy:.2%}")


def _hold_drop(candidate: Candidate, budgets: Budgets, base: Run | None) -> None:
    """Find the drop, and hold it against the budget; last, so that `unproven` knows of every other reason."""
    reason = "it has no parent to lose accuracy against: name a baseline"
    if base is not None:
        try:
            candidate.drop = _drop(candidate.run, base)
        except ArtifactError as error:
            reason = f"its drop can't be judged: {error.message}"
    limit, drop = budgets.max_drop, candidate.drop
    if limit is None or (drop and drop.bound <= limit):
        return
    if drop is None:
        candidate.reasons.append(reason)
        return
    if drop.value > limit:
        candidate.reasons.append(f"it {lost(drop)} on validation (n = {drop.n}), budget {limit:g}")
        return
    candidate.unproven = not candidate.reasons
    needed = examples_needed(limit / 100) if drop.unit == "points" and limit else 0
    too_few = f"; even equal answers need {needed} examples" if needed > drop.n else ""
    candidate.reasons.append(
        f"a drop ≤ {limit:g} {drop.unit} is not shown: it {lost(drop)} on validation (n = {drop.n}), "
        f"which excludes only drops above {drop.bound:.2f}{too_few}"
    )


def _drop(run: Run, base: Run) -> Drop:
    """Return the drop on the same validation examples; raises ArtifactError when they can't be paired."""
    if run.run_id == base.run_id:
        return Drop(0.0, 0.0, 0, "points", base.run_id)
    if _samples.is_language_model(run):
        (nll_base, tokens_base), (nll_run, tokens) = (_samples.likelihoods(each, "validation") for each in (base, run))
        if tokens.shape != tokens_base.shape:
            raise ArtifactError(f"{base.run_id} read other validation text")
        worse = paired_perplexity(nll_base, nll_run, tokens)
        return Drop(100 * worse.change, 100 * worse.bound, worse.n, "% of perplexity", base.run_id)
    correct_base, correct_run = (_samples.correct(each, "validation") for each in (base, run))
    if correct_base.shape != correct_run.shape:
        raise ArtifactError(f"{base.run_id} answered other validation examples")
    found = non_inferior(correct_base, correct_run, 0.0)
    return Drop(-100 * found.difference, -100 * found.bound, found.n, "points", base.run_id)


def lost(drop: Drop) -> str:
    """Return the measured drop in words: `loses 0.67 points`."""
    if abs(drop.value) < 0.005:
        return "loses nothing"
    return f"{'loses' if drop.value > 0 else 'gains'} {abs(drop.value):.2f} {drop.unit}"
