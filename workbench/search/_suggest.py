"""Which recipe to try next: first each single method, then in turn what a model of the finished trials expects most of, and
a neighbour of one on the front.

A proposal depends on the space, the finished trials and a seed alone, so a search that was killed proposes the same again.
"""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from workbench.compare import pareto
from workbench.errors import MissingExtra
from workbench.job import Job, digest
from workbench.search._space import NONE, SLOTS, Space, steps_and_format

WORST = 100.0  # points over the budget: what a recipe counts as that can't run


@dataclass(frozen=True)
class Known:
    """What a finished or refused trial teaches: log costs in the order of the aims, and points of drop (None: refused)."""

    choices: Mapping[str, Any]
    costs: tuple[float, ...] | None
    drop: float | None


class Middle:
    """Takes what is given, of the rest the middle of numbers and the first of words; remembers all of it."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given, self.choices = given, dict[str, Any]()

    def choose(self, name: str, options: Sequence[Any]) -> Any:
        usual = options[len(options) // 2] if _are_numbers(options) else options[0]
        self.choices[name] = self.given.get(name, usual)
        return self.choices[name]


def as_trained(space: Space) -> list[dict[str, Any]]:
    """Return the choices that leave the model as trained, in every format."""
    return [{SLOTS[0]: NONE, "precision": NONE, "format": name} for name in space.formats]


def single_methods(space: Space, formats: Sequence[str]) -> list[list[dict[str, Any]]]:
    """Return the choices of each precision and each change alone, each in the given order of formats."""
    alone: list[dict[str, Any]] = [{SLOTS[0]: NONE, "precision": name} for name in space.precisions]
    alone += [{SLOTS[0]: name, SLOTS[1]: NONE, "precision": NONE} for name in space.changes]
    return [[{**each, "format": name} for name in formats] for each in alone]


def combinations(space: Space, best: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each change before the precision, and in the format, of the best trial so far."""
    for name in space.changes:
        kept = {
            key: value for key, value in best.items() if key.startswith((f"{best['precision']}.", f"{best['format']}."))
        }
        yield {**kept, SLOTS[0]: name, SLOTS[1]: NONE, "precision": best["precision"], "format": best["format"]}


def check_installed() -> None:
    """Raise MissingExtra with the command when the optimiser isn't installed."""
    if importlib.util.find_spec("optuna") is None:
        raise MissingExtra("a search needs optuna", next_move="pip install 'workbench[search]'")


def proposed(
    space: Space, base: Job, known: Sequence[Known], *, max_drop: float, seed: int, number: int
) -> dict[str, Any]:
    """Return the choices that a multi-objective tree-structured Parzen estimator makes next (Ozaki et al., GECCO 2020).

    Objectives are the logarithms of the costs and the drop on validation; drops over the budget break a constraint.
    """
    import optuna

    num_costs = max((len(each.costs) for each in known if each.costs), default=1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            multivariate=True, group=True, n_startup_trials=8, seed=int(digest([seed, number]), 16) % 2**31
        )
        study = optuna.create_study(directions=["minimize"] * (num_costs + 1), sampler=sampler)
        study.add_trials(_as_trials(space, base, known, max_drop, num_costs))
        asking = _Asking(study.ask())
        steps_and_format(space, base, asking)
    return asking.choices


def neighbour(
    space: Space, base: Job, known: Sequence[Known], *, max_drop: float, seed: int, number: int
) -> dict[str, Any]:
    """Return the choices of a trial on the front within the drop, one or two of them drawn anew.

    A model of a few dozen trials proposes the best ones again and again; what differs from them in one thing is new.
    """
    random = Random(int(digest([seed, number, "neighbour"]), 16))
    keeping = [each for each in known if each.costs and each.drop is not None and each.drop <= max_drop] or list(known)
    parent = random.choice(_undominated(keeping) or keeping)
    changed = random.sample(sorted(parent.choices), min(len(parent.choices), random.choice((1, 1, 2))))
    near = _Near(parent.choices, changed, random)
    steps_and_format(space, base, near)
    return near.choices


def _undominated(known: Sequence[Known]) -> list[Known]:
    points = {str(i): {**dict(enumerate(each.costs)), "drop": each.drop} for i, each in enumerate(known) if each.costs}
    if not points:
        return []
    axes: dict[Any, Any] = dict.fromkeys(next(iter(points.values())), "lower")
    return [known[int(name)] for name in pareto(points, axes).members]  # type: ignore[arg-type]


class _Near:
    """Keeps to given choices but for some, which move by one place (numbers) or anywhere (words); new ones are drawn."""

    def __init__(self, given: Mapping[str, Any], changed: Sequence[str], random: Random) -> None:
        self.given, self.changed, self.random, self.choices = given, changed, random, dict[str, Any]()

    def choose(self, name: str, options: Sequence[Any]) -> Any:
        before = self.given.get(name)
        if name not in self.given or before not in options:
            found = self.random.choice(options)
        elif name not in self.changed or len(options) == 1:
            found = before
        elif _are_numbers(options):
            place = options.index(before) + self.random.choice((-1, 1))
            found = options[min(max(place, 0), len(options) - 1)]
        else:
            found = self.random.choice([each for each in options if each != before])
        self.choices[name] = found
        return found


class _Asking:
    """Hands every choice to the optimiser: numbers by their place, so that near ones are near."""

    def __init__(self, trial: Any) -> None:
        self.trial, self.choices = trial, dict[str, Any]()

    def choose(self, name: str, options: Sequence[Any]) -> Any:
        if len(options) == 1:
            self.choices[name] = options[0]
        elif _are_numbers(options):
            self.choices[name] = options[self.trial.suggest_int(name, 0, len(options) - 1)]
        else:
            self.choices[name] = self.trial.suggest_categorical(name, list(options))
        return self.choices[name]


class _Telling:
    """Walks the same way with choices that were made, and notes them as the optimiser wants to hear them."""

    def __init__(self, choices: Mapping[str, Any]) -> None:
        self.choices = choices
        self.params: dict[str, Any] = {}
        self.distributions: dict[str, Any] = {}

    def choose(self, name: str, options: Sequence[Any]) -> Any:
        import optuna

        value = self.choices[name]
        if len(options) > 1 and _are_numbers(options):
            self.params[name] = options.index(value)
            self.distributions[name] = optuna.distributions.IntDistribution(0, len(options) - 1)
        elif len(options) > 1:
            self.params[name] = value
            self.distributions[name] = optuna.distributions.CategoricalDistribution(list(options))
        return value


def _as_trials(space: Space, base: Job, known: Sequence[Known], max_drop: float, num_costs: int) -> list[Any]:
    import optuna

    worst = [max((each.costs[i] for each in known if each.costs), default=0.0) for i in range(num_costs)]
    found = []
    for each in known:
        telling = _Telling(each.choices)
        steps_and_format(space, base, telling)
        over = WORST if each.drop is None else each.drop - max_drop
        values = [*(each.costs or worst), WORST if each.drop is None else each.drop]
        found.append(
            optuna.trial.create_trial(
                values=values, params=telling.params, distributions=telling.distributions, constraints={"drop": over}
            )
        )
    return found


def log(value: float) -> float:
    """Return the logarithm of a cost; nothing costs less than a billionth."""
    return math.log(max(value, 1e-9))


def _are_numbers(options: Sequence[Any]) -> bool:
    return all(isinstance(each, int | float) and not isinstance(each, bool) and math.isfinite(each) for each in options)
