"""Predictions and decisions: asked with controls or in code, locked, then held against what was measured."""

from __future__ import annotations

import math
import re
from typing import Any

import ipywidgets

from widgets import _lesson_html as page
from widgets import _words
from workbench.errors import InvalidInput
from workbench.lessons.exercise import Question
from workbench.lessons.progress import Progress
from workbench.lessons.words import Words

GOOD_FACTOR = 1.25  # a number this near is a prediction that holds
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")  # 94,186; any other single comma is that of 37,5


def problems(question: Question, value: Any) -> list[str]:
    """Return what is wrong with an answer that was given in code."""
    if question.kind == "number":
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return [] if good else [f"{question.id} takes a number, given {value!r}"]
    if question.kind == "choice":
        return (
            []
            if value in question.choices
            else [f"{question.id} takes one of {list(question.choices)}, given {value!r}"]
        )
    if not isinstance(value, dict) or set(value) != set(question.fields):
        return [f"{question.id} takes a dictionary with the keys {list(question.fields)}, given {value!r}"]
    return [
        f"{question.id}: {field} is one of {list(keys)}, given {value[field]!r}"
        for field, keys in question.fields.items()
        if value[field] not in keys
    ]


def number_of(text: str, unit: str) -> float | None:
    """Return the number that somebody typed, with or without its unit; None where it is none."""
    plain = text.strip().casefold().removesuffix(unit.casefold()).strip()
    plain = plain.replace(",", "") if THOUSANDS.fullmatch(plain) else plain.replace(",", ".", 1)
    try:
        return float(plain)
    except ValueError:
        return None


def comparison(words: Words, question: Question, kept: dict[str, Any]) -> str:
    """Return a prediction beside what was measured, as bars and a sentence; `kept` is of `Progress.measured`."""
    measured = kept["measured"]
    if question.kind == "choice":
        return _choices_compared(words, question, kept)
    rows = [(words.word("measured"), abs(measured), words.answer(question, measured))]
    if "value" not in kept:
        return page.bars(rows) + page.paragraph(words.word("nothing_predicted"))
    rows.insert(0, (words.word("predicted"), abs(kept["value"]), words.answer(question, kept["value"])))
    factor = _factor(kept["value"], measured)
    near = factor <= GOOD_FACTOR
    sentence = words.word("spot_on") if near else words.word("not_so")
    told = "" if near or math.isinf(factor) else words.word("off_by", ratio=f"{factor:.3g}")
    return f"{page.bars(rows)}{page.paragraph(f'**{sentence}** {told}'.strip())}"


def _choices_compared(words: Words, question: Question, kept: dict[str, Any]) -> str:
    measured = kept["measured"]
    came = question.choice_of(measured)
    number = f"{measured:.3g}: " if isinstance(measured, int | float) else ""
    lines = page.paragraph(f"{words.word('measured')}: **{number}{words.choice(question, came)}**")
    if "value" not in kept:
        return lines + page.paragraph(words.word("nothing_predicted"))
    sentence = words.word("spot_on" if kept["value"] == came else "not_so")
    said = words.choice(question, kept["value"])
    return page.paragraph(f"{words.word('predicted')}: {said}") + lines + page.paragraph(f"**{sentence}**")


def _factor(predicted: float, measured: float) -> float:
    """Return how many times the larger is the smaller; infinite where their signs or zeros differ."""
    if predicted == measured:
        return 1.0
    if predicted * measured <= 0:
        return math.inf
    return max(predicted / measured, measured / predicted)


class Asked:
    """The controls of one question; `Lock` keeps the answer, and from then on it is shown, not asked."""

    def __init__(self, words: Words, progress: Progress, question: Question) -> None:
        self.words, self.progress, self.question = words, progress, question
        self.fields, self.is_locked = self._fields(), False
        self.lock = ipywidgets.Button(description=words.word("lock"), icon="lock")
        self.lock.on_click(lambda _: self._locked())
        self.told = ipywidgets.HTML()
        self.controls = [*self.fields.values(), self.lock, self.told]
        if kept := progress.question(question.id):
            self._show(kept["value"])
            _words.show(self.lock, False)

    def _fields(self) -> dict[str, Any]:
        if self.question.kind == "number":
            field = ipywidgets.Text(description=self.question.unit, placeholder="0", layout={"width": "220px"})
            return {"": field}
        if self.question.kind == "choice":
            return {"": self._menu("", self.question.choices)}
        named = self.words.question(self.question.id)["fields"]
        return {field: self._menu(named[field], keys) for field, keys in self.question.fields.items()}

    def _menu(self, label: str, keys: tuple[str, ...]) -> ipywidgets.Dropdown:
        options = [(self.words.word("choose"), ""), *((self.words.choice(self.question, key), key) for key in keys)]
        return ipywidgets.Dropdown(description=label, options=options, layout={"width": "100%", "max_width": "620px"})

    def _value(self) -> Any:
        given = {name: field.value for name, field in self.fields.items()}
        if self.question.kind == "decision":
            return given
        if self.question.kind == "choice":
            return given[""]
        return number_of(given[""], self.question.unit)

    def _locked(self) -> None:
        if self.is_locked:
            return
        value = self._value()
        if problems(self.question, value):
            _words.say(self.told, _words.problem(self.words.word("answer_first")))
            return
        try:
            self._show(self.progress.lock(self.question.id, value)["value"])
        except InvalidInput as error:
            _words.say(self.told, _words.problem(str(error)))

    def _show(self, value: Any) -> None:
        """Show the answer in place of its fields; the button stays, since Shift + Enter would go nowhere without the focus."""
        for control in self.fields.values():
            _words.show(control, False)
        self.lock.description, self.lock.icon = self.words.word("locked"), "check"
        self.is_locked = True
        told = f"**{self.words.word('locked')}:** {self.words.answer(self.question, value)}"
        _words.say(self.told, page.paragraph(told))
