"""Choose among runs under budgets: reads the validation split only, and says why and why not in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.compare._budgets import Budgets, Choice
from workbench.compare._judging import Candidate, base_of, common_timing, judged, lost
from workbench.errors import InvalidInput
from workbench.nouns import Run

WORDS = {"bytes": "size", "ms": "latency"}


def choose(
    runs: Sequence[Run],
    budgets: Budgets,
    *,
    baseline: str | None = None,
    costs: Mapping[str, Mapping[str, float]] | None = None,
) -> Choice:
    """Return the run to take of `runs`, all on one data set, and why not each other one.

    With a budget on accuracy or its drop, the run with the smallest bytes × latency of those that fit; without one, the
    most accurate on validation. The drop is taken against each run's own parent, or against run `baseline`; it fits
    when a paired one-sided 95 % bound is within the budget. Ties: fewer bytes, more accurate, then by name.
    `costs` (what it is → value by run id) are ranked by their product instead of bytes × latency.
    """
    by_id = {run.run_id: run for run in runs}
    _check(runs, by_id, baseline)
    timing = common_timing(runs)
    found = [judged(run, budgets, timing, base_of(run, by_id, baseline)) for run in by_id.values()]
    for each in found:
        if costs is not None:
            each.ranked_by = {
                name: values[each.run.run_id] for name, values in costs.items() if each.run.run_id in values
            }
    wanted = tuple(costs) if costs is not None else ("bytes", "ms")
    fitting = [each for each in found if not each.reasons]
    ranked, notes = _ranked(fitting, budgets, wanted)
    not_shown = [each for each in found if each.unproven]
    unproven, _ = _ranked(not_shown, budgets, wanted)
    best = ranked[0] if ranked else None
    for other in ranked[1:]:
        other.reasons.append(f"it fits, but {_behind(other, ranked[0], budgets)}")
    return Choice(
        recommended=best.run if best else None,
        why=tuple(_why(ranked, unproven, budgets, len(found)) + notes),
        why_not={each.run.run_id: each.reasons for each in found if each is not best},
        unproven=unproven[0].run if unproven else None,
        fitting=tuple(dict.fromkeys(each.run.run_id for each in (*ranked, *fitting))),
        not_shown=tuple(each.run.run_id for each in not_shown),
        drops={each.run.run_id: each.drop for each in found if each.drop},
        budgets=budgets,
    )


def _check(runs: Sequence[Run], by_id: dict[str, Run], baseline: str | None) -> None:
    problems = [] if runs else ["there are no runs to choose from"]
    if baseline is not None and baseline not in by_id:
        problems.append(f"baseline {baseline!r} is not among the {len(runs)} runs")
    data = {run.data_sha256 for run in runs if run.status == "done"}
    if len(data) > 1:
        problems.append(f"the runs are on {len(data)} data sets: their accuracies can't be held against each other")
    if problems:
        raise InvalidInput(problems, next_move="choose among runs on one data set, the baseline with them")


def _ranked(fitting: list[Candidate], budgets: Budgets, wanted: Sequence[str]) -> tuple[list[Candidate], list[str]]:
    """Return the candidates best first, and what has to be said about how; those that can't be ranked get a reason."""
    notes = []
    for name in wanted:
        words = WORDS.get(name, name)
        known = [each for each in fitting if name in each.ranking]
        if fitting and not known:
            notes.append(f"No {words} counts in the ranking: none that can be used was measured.")
            continue
        for each in fitting:
            if name not in each.ranking:
                each.reasons.append(
                    f"it can't be ranked: {each.untimed if name == 'ms' else f'its {words} was not measured'}"
                )
        fitting = known
    by_accuracy = budgets.max_drop is None and budgets.min_accuracy is None

    def rank(each: Candidate) -> tuple[float, float, float, float, str]:
        first = -each.quality if by_accuracy else 0.0
        return first, each.product, each.costs.get("bytes", 0.0), -each.quality, each.run.run_id

    return sorted(fitting, key=rank), notes


def _behind(other: Candidate, best: Candidate, budgets: Budgets) -> str:
    """Return in words why `other` comes after `best`."""
    name = best.run.run_id
    by_accuracy = budgets.max_drop is None and budgets.min_accuracy is None
    if by_accuracy and other.quality < best.quality:
        return f"{name} is more accurate on validation"
    if other.product > best.product:
        return f"its {_product_words(other)} is {other.product / best.product:.2f} × that of {name}"
    if other.costs.get("bytes") != best.costs.get("bytes"):
        return f"{name} is as good by {_product_words(other)} and has fewer bytes"
    if other.quality < best.quality:
        return f"{name} costs the same and is more accurate on validation"
    return f"it ties with {name} on everything that counts; the first by name was taken"


def _product_words(candidate: Candidate) -> str:
    return " × ".join("latency" if name == "ms" else name for name in candidate.ranking) or "cost"


def _why(ranked: list[Candidate], unproven: list[Candidate], budgets: Budgets, num_runs: int) -> list[str]:
    if not ranked:
        said = [f"None of {num_runs} runs fits the budgets."]
    else:
        said = [_place(ranked, budgets), *_kept_drop(ranked[0], budgets), *reported_test(ranked[0].run)]
    if unproven and (not ranked or _cheaper(unproven[0], ranked[0])):
        drop = unproven[0].drop
        assert drop is not None
        said.append(
            f"{unproven[0].run.run_id} would cost less and {lost(drop)} on validation, "
            f"but {drop.n} examples are too few to show that its drop keeps to the budget."
        )
    return said


def _cheaper(one: Candidate, other: Candidate) -> bool:
    """Say whether one costs less; False also when different costs are known of them."""
    return _product_words(one) == _product_words(other) and one.product < other.product


def _place(ranked: list[Candidate], budgets: Budgets) -> str:
    best, count = ranked[0], len(ranked)
    if count == 1:
        return f"{best.run.run_id} is the only run that fits the budgets."
    if budgets.max_drop is None and budgets.min_accuracy is None:
        return f"{best.run.run_id} is the most accurate on validation of the {count} runs that fit the budgets."
    return f"Of the {count} runs that fit the budgets, {best.run.run_id} has the smallest {_product_words(best)}."


def _kept_drop(best: Candidate, budgets: Budgets) -> list[str]:
    drop = best.drop
    if drop is None or budgets.max_drop is None:
        return []
    if drop.against == best.run.run_id:
        return ["It is the model as trained that drops are taken against, so it loses nothing."]
    sure = f"the drop is below {drop.bound:.2f}" if drop.bound > 0 else f"the gain is above {-drop.bound:.2f}"
    return [
        f"It {lost(drop)} against {drop.against} on {drop.n} validation examples; "
        f"with 95 % confidence {sure} {drop.unit}."
    ]


def reported_test(run: Run) -> list[str]:
    """Return the test figure of the chosen run: reported here, read nowhere above."""
    accuracy, perplexity = run.get("accuracy", split="test"), run.get("perplexity", split="test")
    if accuracy:
        within = (
            f" [{accuracy.lo:.2%}, {accuracy.hi:.2%}]" if accuracy.lo is not None and accuracy.hi is not None else ""
        )
        return [f"Test, not used to choose: accuracy {accuracy.value:.2%}{within}, n = {accuracy.n}."]
    return [f"Test, not used to choose: perplexity {perplexity.value:.4g}."] if perplexity else []
