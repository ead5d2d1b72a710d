"""A prediction is locked as it was meant, and only when it is whole; hints that were taken stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from widgets._lesson_help import Help
from widgets._lesson_paper import card
from widgets._lesson_questions import Asked, comparison, number_of
from workbench.lessons import catalog
from workbench.lessons.progress import Progress
from workbench.lessons.words import Words


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("37", 37.0), (" 37.5 kB ", 37.5), ("37,5", 37.5), ("0,125", 0.125), ("94,186", 94186.0), ("1,234,567.5 KB", 1234567.5),
        ("1e3", 1000.0), ("-2", -2.0), ("", None), ("about 40", None), ("1,2,3", None),
    ],
)  # fmt: skip
def test_a_number_is_read_as_people_write_it(text: str, number: float | None) -> None:
    assert number_of(text, "kB") == number


@pytest.mark.parametrize("name", ["01.p1", "01.p2", "01.d1"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_answer_that_isnt_whole_is_asked_for_and_not_locked(name: str, language: str, tmp_path: Path) -> None:
    question, progress = catalog.question(name), Progress(tmp_path / "progress.json")
    words = Words(catalog.lesson("01"), language)
    asked = Asked(words, progress, question)
    if question.kind == "number":
        asked.fields[""].value = "many"
    if question.kind == "decision":
        asked.fields["scenario"].value = "edge"  # and the two others are left open
    asked.lock.click()
    assert words.word("answer_first") in asked.told.value and not progress.question(name)


def test_a_whole_answer_is_locked_and_shown(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "progress.json")
    asked = Asked(Words(catalog.lesson("01"), "en"), progress, catalog.question("01.p1"))
    asked.fields[""].value = "37,5 kB"
    asked.lock.click()
    assert progress.question("01.p1")["value"] == 37.5
    assert "37.5 kB" in asked.told.value and asked.fields[""].layout.display == "none"
    asked.lock.click()
    assert asked.lock.description == "Locked" and progress.question("01.p1")["value"] == 37.5
    again = Asked(Words(catalog.lesson("01"), "en"), progress, catalog.question("01.p1"))
    assert "37.5 kB" in again.told.value and again.lock.layout.display == "none"


def test_hints_that_were_taken_are_there_after_the_next_check(tmp_path: Path) -> None:
    words, progress = Words(catalog.lesson("01"), "en"), Progress(tmp_path / "progress.json")
    first = Help(words, progress, "01.1")
    assert first.hints.value == "" and first.more.description == "A hint"
    first.more.click()
    first.more.click()
    again = Help(words, progress, "01.1")
    assert again.hints.value == first.hints.value and again.hints.value.count("wb-lesson-hint") == 2
    again.more.click()
    again.more.click()
    assert again.more.description == "Hint 3 of 3" and progress.exercise("01.1")["hints"] == 3


@pytest.mark.parametrize(
    ("name", "kept", "told"),
    [
        ("01.p1", {"value": 310.0, "measured": 380.0}, "spot_on"), ("01.p1", {"value": 300.0, "measured": 380.0}, "not_so"),
        ("01.p1", {"value": 480.0, "measured": 380.0}, "not_so"), ("01.p1", {"measured": 380.0}, "nothing_predicted"),
        ("01.p2", {"value": "same", "measured": 1.5}, "spot_on"), ("01.p2", {"value": "same", "measured": 1.51}, "not_so"),
        ("01.p2", {"value": "two", "measured": 5.0}, "spot_on"), ("01.p2", {"value": "ten", "measured": 5.1}, "spot_on"),
        ("01.p2", {"measured": 5.0}, "nothing_predicted"), ("10.p1", {"value": "failed", "measured": "failed"}, "spot_on"),
    ],
)  # fmt: skip
def test_a_prediction_is_held_against_what_was_measured(name: str, kept: dict[str, Any], told: str) -> None:
    words = Words(catalog.lesson(name[:2]), "en")
    text = comparison(words, catalog.question(name), kept)
    sentences = {each: words.word(each) in text for each in ("spot_on", "not_so", "nothing_predicted")}
    assert [each for each, is_said in sentences.items() if is_said] == [told]
    assert (words.word("off_by", ratio="1.27") in text) is (kept.get("value") == 300.0)


@pytest.mark.parametrize("name", [paper.id for lesson in catalog.lessons() for paper in lesson.papers])
def test_a_claim_holds_within_its_bounds_alone(name: str) -> None:
    paper, words = catalog.paper(name), Words(catalog.lesson(name[:2]), "en")
    for value, kind in ((paper.low, "wb-ok"), (paper.high, "wb-ok"), (paper.low - 0.1, "wb-try_again"), (paper.high + 0.1, "wb-try_again")):  # fmt: skip
        assert f'class="wb-found {kind}"' in card(words, paper, value)
