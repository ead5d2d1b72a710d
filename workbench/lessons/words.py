"""What a lesson says, in one language: plain text pieces that any front end can show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.errors import InvalidInput
from workbench.lessons import texts
from workbench.lessons.exercise import Exercise, Finding, Lesson, Question


@dataclass(frozen=True)
class Said:
    """A verdict in words: its line, what was observed for this input, the likely cause, the next step."""

    verdict: str
    line: str
    observed: str = ""
    cause: str = ""
    next_step: str = ""


def nearest(lesson: Lesson, language: str) -> Words:
    """Return a lesson's words in a language, in English where it isn't translated: for pages over several lessons."""
    return Words(lesson, language if language in texts.languages_of(lesson.name) else "en")


@dataclass(frozen=True)
class Words:
    """The texts of one lesson in one language; raises InvalidInput where there is no translation."""

    lesson: Lesson
    language: str

    def __post_init__(self) -> None:
        texts.of(self.lesson.name, self.language)

    @property
    def own(self) -> Mapping[str, Any]:
        return texts.of(self.lesson.name, self.language)

    @property
    def shared(self) -> Mapping[str, Any]:
        return texts.of("_shared", self.language)

    def word(self, name: str, **values: Any) -> str:
        """Return a word of the panels."""
        return texts.filled(self.shared["words"][name], values)

    def exercise(self, name: str) -> Mapping[str, Any]:
        return self.own["exercises"][name]

    def question(self, name: str) -> Mapping[str, Any]:
        return self.own["questions"][name]

    def hint(self, name: str, level: int) -> str:
        """Return hint 1 (nudge), 2 (formula) or 3 (almost code); raises InvalidInput beyond."""
        hints = self.exercise(name)["hints"]
        if not 1 <= level <= len(hints):
            raise InvalidInput([f"{name} has hints 1 to {len(hints)}, not {level}"])
        return str(hints[level - 1])

    def choice(self, question: Question, key: str) -> str:
        """Return a choice of a question or decision in words."""
        return str(self.question(question.id)["choices"][key])

    def answer(self, question: Question, value: Any) -> str:
        """Return an answer to a question as people read it."""
        if question.kind == "number":
            return f"{value:,.4g} {question.unit}".strip()
        if question.kind == "choice":
            return self.choice(question, value)
        named = self.question(question.id)["fields"]
        return "; ".join(f"{named[field]}: {self.choice(question, key)}" for field, key in value.items())

    def said(self, exercise: Exercise, finding: Finding) -> Said:
        """Return what is said of a finding."""
        verdict = self.shared["verdicts"][finding.verdict]
        own = self.exercise(exercise.id)
        if finding.verdict == "ok":
            return Said(verdict, texts.filled(own["ok"], finding.values))
        if finding.verdict == "not_attempted":
            return Said(verdict, self.shared["not_attempted_bug" if exercise.is_bug else "not_attempted"])
        known = own["misconceptions"].get(finding.misconception) or self.shared["misconceptions"].get(
            finding.misconception, self.shared["unknown"]
        )
        values = {"answer": exercise.answer, **finding.values}
        observed, cause, further = (texts.filled(known[part], values) for part in ("observed", "cause", "next"))
        return Said(verdict, cause, observed, cause, further)
