"""Find the best mix under a budget: `search` tries recipes on one trained model and keeps the front of what was measured.

    space (what the parts declare, what is legal) ► starts ► proposals ► refused by rule or estimate, else an ordinary run

Every trial is a run of the store, found again by its job id; what was decided lies beside them (`_state`), so a search that
was stopped or killed goes on where it was. Only the validation split is read; test is told once, of what was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from workbench import catalog
from workbench.describe import model_card
from workbench.errors import InvalidInput
from workbench.job import Job
from workbench.search import _aims, _suggest
from workbench.search._aims import AIMS
from workbench.search._result import Found, Member
from workbench.search._searching import Progress, Searching
from workbench.search._state import State, Trial
from workbench.store import Store

__all__ = ["AIMS", "Found", "Member", "Progress", "Trial", "search"]


def search(
    base: Job,
    store: Store,
    *,
    minimise: Sequence[str] = ("latency",),
    max_drop: float = 1.0,
    budget_seconds: float = 1800.0,
    threads: Sequence[int] = (1,),
    seeds: int = 1,
    sampler_seed: int = 0,
    only: Sequence[str] = (),
    formats: Sequence[str] = (),
    on_event: Callable[[Progress], None] = lambda progress: None,
) -> Found:
    """Search recipes for the model that `base` (model, data, training steps, seed) trains, for `budget_seconds`.

    `minimise`: one or more of AIMS; `max_drop`: points of accuracy (language models: per cent of perplexity) against the
    model as trained. The front is re-timed with each further number of `threads`; the chosen recipe is repeated with
    `seeds` seeds in all. `only`, `formats`: the steps and formats to keep to. The same call goes on with an earlier search.
    Ctrl-C ends it with what is finished. Raises InvalidInput, or MissingExtra without optuna.
    """
    _suggest.check_installed()
    wanted = _aims.aims(tuple(minimise))
    _check(base, max_drop, budget_seconds, threads, seeds, only, formats)
    question = {
        "base": {key: base.to_json()[key] for key in ("model", "data", "steps", "seed")}, "minimise": list(minimise),
        "max_drop": max_drop, "threads": threads[0], "seed": sampler_seed, "only": sorted(only), "formats": sorted(formats),
    }  # fmt: skip
    state = State(store, question)
    try:
        metrics = tuple(catalog.make("measure", each) for each in _aims.metrics(wanted, threads[0]))
        base = replace(base, metrics=metrics, format=catalog.make("formats", "onnx"))  # type: ignore[arg-type]
        found = Searching(
            base, store, state, wanted, max_drop, budget_seconds, tuple(threads), seeds, sampler_seed, on_event
        )
        return found.go(only, formats)
    finally:
        state.close()


def _check(
    base: Job,
    max_drop: float,
    budget: float,
    threads: Sequence[int],
    seeds: int,
    only: Sequence[str],
    formats: Sequence[str],
) -> None:
    problems = [
        f"steps: {step.name()} is for the search to try; give training steps only"
        for step in base.steps
        if not step.trains
    ]
    problems += [
        f"{name} must be above 0, given {value:g}"
        for name, value in (("max_drop", max_drop), ("budget", budget))
        if not value > 0
    ]
    if not threads or min(threads) < 1 or len(set(threads)) < len(threads):
        problems.append(f"threads are different whole numbers from 1 up, given {list(threads)}")
    if seeds < 1:
        problems.append(f"seeds: {seeds} is below 1")
    if base.data.card().task == "unlabelled":
        problems.append(f"{base.data.name()} has no labels, so no drop can be held against the budget")
    for family, names in (("compress", only), ("formats", formats)):
        for name in names:
            catalog.get(family, name)
    if not base.steps and not base.model.pretrained:
        problems.append(f"{base.model.name()} isn't trained: give its training as a step")
    if problems or (problems := base.why_not(model_card(base) if base.model.card_needs_module else None)):
        raise InvalidInput(problems)
