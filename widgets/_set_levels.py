"""Layers at strengths of their own in the picked recipe: set, kept as they are, told in words, and one step back."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from widgets import _words
from workbench import catalog, diagnose
from workbench.params import describe

if TYPE_CHECKING:
    from widgets.session import Session

Steps = list[dict[str, Any]]


class SetLevels:
    """Changes `session.steps`; `undo` takes the last change back while nothing else has changed the steps since."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._before: Steps | None = None
        self._made: Steps | None = None

    @property
    def can_undo(self) -> bool:
        return self._before is not None and self.session.steps == self._made

    def set(self, layer: str, step_name: str, parameter: str, level: float | None, layers: Sequence[str]) -> str:
        """Set a layer's level (None: kept as it is) and return what was done; raises InvalidInput with the reasons."""
        before = list(self.session.steps)
        record = diagnose.apply_level(
            before, layer=layer, step_name=step_name, parameter=parameter, level=level, layers=layers
        )
        after = [catalog.make("compress", step).to_json() for step in record]
        if after == before:
            return f"{layer} was so already: {in_words(step_name, parameter, level)}."
        self._before, self._made = before, after
        self.session.steps = after
        return f"{layer} is now {in_words(step_name, parameter, level)}. The recipe on the left holds it; run it to measure."

    def undo(self) -> str:
        """Take the last change back."""
        if not self.can_undo:
            return "The recipe has changed since: nothing was taken back."
        assert self._before is not None
        self.session.steps, self._before = self._before, None
        return "Taken back: the recipe is as it was before."


def in_words(step_name: str, parameter: str, level: float | None) -> str:
    """Return, as in `at sparsity 0.5 of magnitude prune`."""
    step = step_name.replace("_", " ")
    if level is None:
        return f"kept as it is by {step}"
    return f"at {parameter.replace('_', ' ')} {level:g} of {step}" if parameter else f"changed by {step}"


def levels_html(steps: Sequence[dict[str, Any]], step_name: str, parameter: str, layers: Sequence[str]) -> str:
    """Return a line that says what a step of the recipe does to each layer, or that there is no such step yet."""
    told = _levels_of(steps, step_name, parameter, layers)
    if not told:
        return _words.note(f"The recipe has no {step_name.replace('_', ' ')} yet; a click adds it for that layer.")
    facts = (
        f'<span class="wb-fact"><b>{html.escape(name)}</b>{html.escape(text)}</span>' for name, text in told.items()
    )
    return f"<p>In the recipe: {''.join(facts)}</p>"


def _levels_of(
    steps: Sequence[dict[str, Any]], step_name: str, parameter: str, layers: Sequence[str]
) -> dict[str, str]:
    mine = [step for step in steps if step["use"] == step_name]
    if not mine:
        return {}
    told = dict.fromkeys(layers, "as it is")
    for step in mine:
        for layer in layers:
            if layer not in step.get("skip", ()):
                told[layer] = f"{step.get(parameter):g}" if isinstance(step.get(parameter), int | float) else "changed"
    return told


def fitting(step_name: str, parameter: str, levels: Sequence[float]) -> tuple[str, list[float]]:
    """Return the strength to try of a step and its values: the given ones where the step has that parameter."""
    numbers = {
        spec.name: spec for spec in describe(catalog.get("compress", step_name)) if spec.kind in ("int", "float")
    }
    if parameter in numbers:
        return parameter, list(levels)
    shares = [name for name in ("sparsity", "ratio") if name in numbers]
    return (shares[0], [0.25, 0.5, 0.75]) if shares else ("", [])
