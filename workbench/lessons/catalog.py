"""Finds lessons by their folder: a file in `course/` is a lesson, and there is no list to edit."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from workbench.errors import InvalidInput
from workbench.lessons.exercise import Exercise, Lesson, Paper, Question


@cache
def lessons() -> tuple[Lesson, ...]:
    """Return every lesson in the order of their numbers."""
    files = sorted((Path(__file__).parent / "course").glob("[a-z]*.py"))
    found = [importlib.import_module(f"workbench.lessons.course.{path.stem}").LESSON for path in files]
    assert [each.name for each in found] == [path.stem for path in files], "a lesson is named after its file"
    return tuple(sorted(found, key=lambda each: each.number))


def lesson(number: str) -> Lesson:
    """Return one lesson by its number (`1`, `01`) or name; raises InvalidInput with those that there are."""
    wanted = number.zfill(2) if number.isdigit() else number
    for each in lessons():
        if wanted in (each.number, each.name):
            return each
    known = ", ".join(f"{each.number} {each.name}" for each in lessons())
    raise InvalidInput([f"no lesson {number!r}"], next_move=f"there are: {known}")


def exercise(name: str) -> Exercise:
    """Return one exercise by its id, such as `01.2`."""
    return _of(name, lesson(name.partition(".")[0]).exercises, "exercise")


def question(name: str) -> Question:
    """Return one prediction or decision by its id, such as `01.p1`."""
    return _of(name, lesson(name.partition(".")[0]).questions, "question")


def paper(name: str) -> Paper:
    """Return one reproduction card by its id, such as `02.r1`."""
    return _of(name, lesson(name.partition(".")[0]).papers, "reproduction card")


def _of(name: str, known: Sequence[Any], what: str) -> Any:
    for each in known:
        if each.id == name:
            return each
    raise InvalidInput([f"no {what} {name!r}"], next_move=f"there are: {', '.join(each.id for each in known)}")
