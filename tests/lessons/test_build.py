"""Both notebooks of a lesson come from its one source, byte for byte, and the student's holds no solution."""

from __future__ import annotations

import json

import pytest

from workbench.errors import WorkbenchError
from workbench.lessons import build, catalog
from workbench.lessons.exercise import Lesson

LESSONS = catalog.lessons()


@pytest.mark.parametrize("edition", ["student", "solution"])
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda each: each.number)
def test_the_notebooks_are_what_their_source_gives(lesson: Lesson, edition: build.Edition) -> None:
    built = build.text_of(lesson, edition)
    assert built == build.notebook_path(lesson, edition).read_text(), "run `python -m workbench.lessons.build`"


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda each: each.number)
def test_the_student_edition_holds_no_solution(lesson: Lesson) -> None:
    text = "\n".join("".join(cell["source"]) for cell in json.loads(build.text_of(lesson, "student"))["cells"])
    for exercise in lesson.exercises:
        assert exercise.starter.strip() in text
        given = set(exercise.starter.splitlines())
        secret = [line for line in exercise.solution.splitlines() if line not in given and len(line) > 2]
        assert secret and not [line for line in secret if line in text.splitlines()]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda each: each.number)
def test_a_lesson_ends_with_the_way_on(lesson: Lesson) -> None:
    cells = json.loads(build.text_of(lesson, "student"))["cells"]
    last = ["".join(each["source"]) for each in cells if each["cell_type"] == "markdown"][-1]
    after = LESSONS[LESSONS.index(lesson) + 1 :]
    assert (f"]({build.file_name(after[0])}.ipynb)" if after else "workbench lesson certificate") in last


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda each: each.number)
def test_students_lock_their_own_answers(lesson: Lesson) -> None:
    for question in lesson.questions:
        word = "decide" if question.kind == "decision" else "predict"
        assert f'lesson.{word}(\\"{question.id}\\")' in build.text_of(lesson, "student")
        assert f'lesson.{word}(\\"{question.id}\\", ' in build.text_of(lesson, "solution")


def test_every_file_of_the_workshop_belongs_to_a_lesson() -> None:
    known = {build.file_name(each) for each in LESSONS}
    assert {path.stem for path in build.folder().rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts} == known
    assert {path.stem for path in build.folder().glob("*.py")} == known


def test_an_unknown_marker_is_refused() -> None:
    with pytest.raises(WorkbenchError, match="no marker"):
        build._cells("exorcise 01.1", "", "student")
