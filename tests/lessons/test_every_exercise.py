"""What every exercise promises: its solution passes, its starter counts as untouched, each known mistake gets its own words.

Exercises are found by their folder; a new lesson needs no edit here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from workbench.lessons import catalog, texts
from workbench.lessons import checker as checkers
from workbench.lessons.checker import WALL_SECONDS, Checker
from workbench.lessons.course import pruning
from workbench.lessons.exercise import Exercise
from workbench.lessons.words import Words

EXERCISES = [each for lesson in catalog.lessons() for each in lesson.exercises]
WRONG = [(each, name) for each in EXERCISES for name in each.wrong]
MOST_CPU_SECONDS = 2.0


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with Checker() as warm:
        yield warm


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda each: each.id)
def test_the_solution_is_ok_within_two_seconds_and_the_same_again(exercise: Exercise, checker: Checker) -> None:
    once, again = (checker.check_text(exercise, exercise.solution) for _ in range(2))
    assert once.verdict == "ok", (once.misconception, dict(once.values), once.traceback)
    assert once.cpu_seconds < MOST_CPU_SECONDS
    assert replace(once, cpu_seconds=0) == replace(again, cpu_seconds=0)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda each: each.id)
def test_the_starter_is_not_attempted(exercise: Exercise, checker: Checker) -> None:
    found = checker.check_text(exercise, exercise.starter)
    assert found.verdict == "not_attempted"
    if exercise.is_bug:  # it is shown failing
        assert any(not good for _, _, good in found.rows) or found.bars or found.grids
    assert exercise.answer in exercise.starter and exercise.starter.strip() not in exercise.solution


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda each: each.id)
def test_at_least_three_mistakes_are_known(exercise: Exercise) -> None:
    assert len(exercise.wrong) >= 3


@pytest.mark.parametrize(("exercise", "name"), WRONG, ids=lambda each: getattr(each, "id", each))
def test_a_known_mistake_is_told_in_its_own_words(exercise: Exercise, name: str, checker: Checker) -> None:
    found = checker.check_text(exercise, exercise.wrong[name])
    assert (found.verdict, found.misconception) == ("try_again", name), (dict(found.values), found.traceback)
    assert found.cpu_seconds < MOST_CPU_SECONDS
    for language in texts.languages_of(catalog.lesson(exercise.lesson).name):
        words = Words(catalog.lesson(exercise.lesson), language)
        own = words.exercise(exercise.id)["misconceptions"][name]
        said = words.said(exercise, found)
        assert said.cause == texts.filled(own["cause"], {"answer": exercise.answer, **found.values})
        assert said.observed and said.next_step and "$" not in said.observed
        assert said.verdict == words.shared["verdicts"]["try_again"]


@pytest.mark.parametrize("lesson", catalog.lessons(), ids=lambda each: each.number)
def test_every_translation_says_as_much_as_the_english(lesson: object) -> None:
    names = ["_shared", lesson.name]  # type: ignore[attr-defined]
    for name in names:
        english = _keys(texts.of(name, "en"))
        for language in texts.languages_of(name):
            assert _keys(texts.of(name, language)) == english, (name, language)


@pytest.mark.parametrize("lesson", catalog.lessons(), ids=lambda each: each.number)
def test_a_lesson_has_words_for_all_that_it_declares(lesson: object) -> None:
    words = Words(lesson, "en")  # type: ignore[arg-type]
    for exercise in words.lesson.exercises:
        own = words.exercise(exercise.id)
        assert set(own["misconceptions"]) == set(exercise.wrong) and len(own["hints"]) == 3
        assert own["title"] and own["ask"] and own["ok"]
    for paper in words.lesson.papers:
        assert set(words.own["papers"][paper.id]) == {"claim", "target", "ours", "differs"}
    for question in words.lesson.questions:
        for key in (*question.choices, *(key for keys in question.fields.values() for key in keys)):
            assert words.choice(question, key)
    assert set(words.own["notes"]) == {"say", "ask", "traps", "skip"} and len(words.own["notes"]["traps"]) == 3


@pytest.mark.parametrize("language", texts.languages())
def test_the_network_that_is_predicted_has_as_many_parameters_as_is_said(language: str) -> None:
    from workbench import catalog as parts

    network = parts.make("zoo", {"use": "small_cnn", "width": 32}).card(parts.make("data", "digits").card())
    assert f"{network.num_params:,}" in texts.of("measure_first", language)["questions"]["01.p1"]["ask"]
    assert f"{sum(pruning.WEIGHTS.values()):,}" in texts.of("pruning", language)["exercises"]["02.3"]["ok"]


def test_chinese_is_there() -> None:
    assert "zh" in texts.languages() and "zh" in texts.languages_of("measure_first")


def test_an_endless_loop_is_ended_and_the_next_check_works(checker: Checker) -> None:
    exercise = catalog.exercise("01.3")
    endless = "def images_needed(accuracy, half_width):\n    while True:\n        pass\n"
    began = time.monotonic()
    assert checker.check_text(exercise, endless).misconception == "endless"
    assert time.monotonic() - began < WALL_SECONDS, "it was ended by the clock, not by its computing"
    assert checker.check_text(exercise, exercise.solution).verdict == "ok"


def test_an_answer_that_only_waits_is_ended_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkers, "WALL_SECONDS", 0.5)
    waits = "import time\ndef images_needed(accuracy, half_width):\n    time.sleep(20)\n"
    began = time.monotonic()
    assert checkers.judged_apart("01.3", waits)["misconception"] == "endless"
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("print(accuracy)", "printed"),
        ("accuracy", "returned_nothing"),
        ("return missing", "unknown_name"),
        ("return 1 / 0", "raised"),
        ("import os; os._exit(3)", "died"),
        ("return bytearray(2**34)", "memory"),
        ("return 3.0", ""),
    ],
)
def test_what_any_answer_can_do_wrong_has_words(body: str, expected: str, checker: Checker) -> None:
    exercise = catalog.exercise("01.3")
    found = checker.check_text(exercise, f"def images_needed(accuracy, half_width):\n    {body}\n")
    assert (found.verdict, found.misconception) == ("try_again", expected)
    assert Words(catalog.lesson("01"), "zh").said(exercise, found).cause


def _keys(value: object) -> object:
    """Return the keys of nested mappings and the lengths of lists."""
    if isinstance(value, dict):
        return {key: _keys(each) for key, each in value.items()}
    return len(value) if isinstance(value, list) else type(value).__name__
