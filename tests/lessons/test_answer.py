"""An answer travels as text: with what it names in its notebook, and recognised when nobody touched it."""

from __future__ import annotations

import math

import pytest

from workbench.errors import InvalidInput
from workbench.lessons import answer, catalog

EXERCISE = catalog.exercise("01.3")
Z = 1.96


def _variance(share: float) -> float:
    return share * (1 - share)


def images_needed(accuracy: float, half_width: float) -> int:
    return math.ceil(Z**2 * _variance(accuracy) / half_width**2)


def test_a_function_brings_what_it_names() -> None:
    space: dict[str, object] = {}
    exec(answer.text_of(EXERCISE, images_needed), space)
    assert space["images_needed"](0.95, 0.01) == 1825  # type: ignore[operator]


def test_a_function_of_another_name_is_taken() -> None:
    assert answer.text_of(EXERCISE, _variance).endswith("images_needed = _variance")


@pytest.mark.parametrize("value", [3, 0.5, "x", [1, 2], {"a": (1, None)}, math.inf])
def test_a_plain_value_comes_back(value: object) -> None:
    space: dict[str, object] = {}
    exec(answer.text_of(EXERCISE, value), space)
    assert space["images_needed"] == value


def test_what_has_no_text_is_refused() -> None:
    with pytest.raises(InvalidInput, match="takes a function or a plain value"):
        answer.text_of(EXERCISE, object())


@pytest.mark.parametrize(
    "text",
    [
        "def images_needed(accuracy, half_width): ...",
        'def images_needed(accuracy, half_width):\n    "words"\n    # a comment\n    pass',
        "def images_needed(accuracy, half_width):\n    raise NotImplementedError",
        "images_needed = ...",
    ],
)
def test_an_answer_that_does_nothing_is_untouched(text: str) -> None:
    assert answer.is_untouched(EXERCISE, text)


def test_a_bug_is_untouched_only_as_it_was_given() -> None:
    bug = catalog.exercise("01.2")
    assert answer.is_untouched(bug, bug.starter.replace("    seconds = []", "    seconds = []  # a comment"))
    assert not answer.is_untouched(bug, bug.starter.replace("range(3)", "range(30)"))
