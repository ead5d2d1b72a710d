"""Exercise 05.3: a run is chosen under budgets, and judged by what the workbench finds of every stored run under the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from workbench.lessons.exercise import Exercise, Finding

if TYPE_CHECKING:
    from workbench.compare import Choice
    from workbench.nouns import Run
    from workbench.study import Label

STORED = "recipes"  # the study that the lesson reads
MAX_MS, MAX_DROP = 0.03, 4.0  # the budgets: milliseconds of one call, points below the parent
REASONS = ("smallest", "fastest", "product", "best_on_test")


def measured() -> dict[Label, Run]:
    """Return every run of the stored study by model and recipe."""
    from workbench.lessons import stored

    return stored.runs_of(STORED)


@cache
def within_budgets() -> Choice:
    """Return what the workbench chooses under the budgets of 05.3, and why not the others."""
    from workbench.compare import Budgets, choose

    return choose(list(measured().values()), Budgets(max_latency_ms=MAX_MS, max_drop=MAX_DROP))


def _check_choice(answer: Any) -> Finding:
    """Judge a run and a reason against what the workbench finds of every run under the same budgets."""
    values: dict[str, Any] = {"given": answer, "reasons": ", ".join(REASONS), "max_ms": MAX_MS, "max_drop": MAX_DROP}
    found = {(label.model, label.recipe): run for label, run in measured().items()}
    if (
        not isinstance(answer, Mapping)
        or set(answer) != {"model", "recipe", "because"}
        or answer["because"] not in REASONS
    ):
        return Finding("try_again", "other_keys", values)
    run = found.get((answer["model"], answer["recipe"]))
    if run is None:
        return Finding("try_again", "no_such_run", values)
    chosen = within_budgets()
    fitting = [each for each in found.values() if each.run_id in chosen.fitting]
    drop, cost = chosen.drops.get(run.run_id), _cost(run)
    values |= {
        "ms": f"{cost[1]:.3f}", "kilobytes": f"{cost[0] / 1000:.1f}", "lost": f"{round(drop.value, 1) + 0.0:.1f}" if drop else "0.0",
        "bound": f"{drop.bound:.1f}" if drop else "0.0", "n": drop.n if drop else 0, "num_fitting": len(fitting),
    }  # fmt: skip
    misconception = _what_is_wrong(answer["because"], run, fitting, chosen)
    bars = tuple((f"{model}, {recipe}", _cost(each)[0], f"{_cost(each)[0] / 1000:.0f} kB · {_cost(each)[1]:.3f} ms")
                 for (model, recipe), each in found.items() if each in fitting)  # fmt: skip
    return Finding(
        "try_again" if misconception else "ok", misconception, values, bars=bars if not misconception else ()
    )


def _cost(run: Run) -> tuple[float, float]:
    """Return bytes and milliseconds of one call."""
    size, time = run.get("artifact_bytes"), run.get("latency_ms_p50")
    assert size and time
    return size.value, time.value


def _what_is_wrong(because: str, run: Run, fitting: list[Run], chosen: Choice) -> str:
    """Return the misconception of a choice; empty when it is a good one."""
    drop = chosen.drops.get(run.run_id)
    if _cost(run)[1] > MAX_MS:
        return "too_slow"
    if drop and drop.value > MAX_DROP:
        return "loses_too_much"
    if run not in fitting:
        return "not_shown"
    if because == "best_on_test":
        return "by_test"
    size, time = _cost(run)
    if any(b <= size and ms <= time and (b, ms) != (size, time) for b, ms in map(_cost, fitting)):
        return "dominated"
    best = {
        "smallest": min(_cost(each)[0] for each in fitting) == size,
        "fastest": min(_cost(each)[1] for each in fitting) == time,
        "product": chosen.recommended is not None and chosen.recommended.run_id == run.run_id,
    }
    return "" if best[because] else "other_reason"


def _choice(model: str, recipe: str, because: str) -> str:
    return f'choice = {{"model": "{model}", "recipe": "{recipe}", "because": "{because}"}}\n'


CHOICE = Exercise(
    id="05.3",
    answer="choice",
    starter='choice = ...  # {"model": …, "recipe": …, "because": …}\n',
    solution=_choice("LeNet-300-100", "distilled", "product"),
    wrong={
        "too_slow": _choice("CNN", "distilled, int8", "smallest"),
        "loses_too_much": _choice("LeNet-300-100", "¾ of the channels", "smallest"),
        "not_shown": _choice("LeNet-300-100", "half the channels, 4 bits", "smallest"),
        "dominated": _choice("LeNet-300-100", "as trained", "fastest"),
        "by_test": _choice("CNN", "distilled", "best_on_test"),
        "other_reason": _choice("LeNet-300-100", "distilled", "smallest"),
        "no_such_run": _choice("LeNet-6", "int8", "smallest"),
        "other_keys": 'choice = "LeNet-5, int8"\n',
    },
    check=_check_choice,
    minutes=8,
)
