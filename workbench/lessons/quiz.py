"""The quiz at the end: ten questions over all lessons. Words are in `texts/LANGUAGE/_quiz.yaml`, the right choices here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.errors import InvalidInput
from workbench.lessons import texts

CHOICES = ("a", "b", "c")
RIGHT = {"q1": "b", "q2": "c", "q3": "a", "q4": "b", "q5": "c", "q6": "a", "q7": "c", "q8": "b", "q9": "a", "q10": "b"}
LESSON_OF = dict(zip(RIGHT, ("01", "02", "03", "04", "05", "06", "07", "08", "09", "10")))


@dataclass(frozen=True)
class Marked:
    """Answers as marked: each question with whether it was right."""

    answers: Mapping[str, str]

    @property
    def wrong(self) -> tuple[str, ...]:
        return tuple(name for name, right in RIGHT.items() if self.answers[name] != right)

    @property
    def num_right(self) -> int:
        return len(RIGHT) - len(self.wrong)


def mark(answers: Any) -> Marked:
    """Mark answers by question; raises InvalidInput with every question that has none, and what isn't a choice."""
    if not isinstance(answers, Mapping):
        raise InvalidInput([f"the quiz takes a dictionary of {', '.join(RIGHT)}, given {type(answers).__name__}"])
    open_ones = [name for name in RIGHT if answers.get(name) is None]
    problems = [f"no answer to {', '.join(open_ones)}"] if open_ones else []
    problems += [f"no question {name!r}" for name in answers if name not in RIGHT]
    problems += [
        f"{name} is one of {', '.join(CHOICES)}, given {value!r}"
        for name, value in answers.items()
        if name in RIGHT and value is not None and value not in CHOICES
    ]
    if problems:
        raise InvalidInput(problems, next_move="answer all ten, then hand in")
    return Marked({name: answers[name] for name in RIGHT})


def words(language: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the words of each question: `ask`, `choices` by key, `why` the right one is right."""
    return texts.of("_quiz", language)
