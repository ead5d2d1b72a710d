"""Every lesson runs: its solution by papermill (in a rehearsal), then the student's edition, untouched, by nbval; nothing is asked of a network.

All share one store, so that what one has trained the other only reads. `fast` values stand in the lessons' own parameters.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from workbench.lessons import build, catalog, rehearsal
from workbench.lessons.exercise import Lesson
from workbench.lessons.progress import Progress

LESSONS = catalog.lessons()
TIMEOUT_SECONDS = 600
BLOCKED = Path(__file__).parent / "blocked"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of which the notebooks' own relative paths lead to one store."""
    return tmp_path_factory.mktemp("workshop")


@pytest.fixture(scope="module")
def solved(place: Path) -> dict[str, Any]:
    """Rehearse every solution, in its fast version, where no connection can leave this machine; number → executed cells."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(BLOCKED), *sys.path]))
        patch.setenv("WORKBENCH_TEST_CALLS", str(place / "calls.txt"))
        patch.setenv("WORKBENCH_BROWSER", "none")  # pictures of charts have tests of their own
        rehearsed = rehearsal.rehearse(LESSONS, place, fast=True)
    assert [each.number for each in rehearsed] == [each.number for each in LESSONS]
    assert all(each.seconds > 0 for each in rehearsed)
    executed = {each.number: place / build.notebook_path(each, "solution").name for each in LESSONS}
    return {number: nbformat.read(path, as_version=4).cells for number, path in executed.items()}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda each: each.number)
def test_a_solution_passes_every_check(lesson: Lesson, solved: dict[str, Any], place: Path) -> None:
    record = Progress(place / "notebooks" / "workshop" / "progress.json").record()
    verdicts = {name: kept["verdict"] for name, kept in record["exercises"].items()}
    assert {exercise.id: verdicts.get(exercise.id) for exercise in lesson.exercises} == {
        exercise.id: "ok" for exercise in lesson.exercises
    }
    for question in lesson.questions:
        assert question.kind == "decision" or "measured" in record["questions"][question.id], question.id


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda each: each.number)
def test_figures_in_its_prose_are_printed_by_its_cells(lesson: Lesson, solved: dict[str, Any]) -> None:
    cells = solved[lesson.number]
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    printed = re.sub(r"(?<=\d),(?=\d{3})", "", "\n".join(_said(cell) for cell in cells))
    figures = re.findall(r"(?<![\w.])\d+(?:,\d{3})+|(?<![\w.,])\d{3,}(?![\w.])", re.sub(r"`[^`]*`", "", prose))
    missing = [each for each in figures if each.replace(",", "") not in printed]
    assert not missing, f"said, and printed by no cell: {missing}"


def test_nothing_was_asked_of_a_network(solved: dict[str, Any], place: Path) -> None:
    calls = place / "calls.txt"
    assert not calls.exists(), calls.read_text()


def test_the_block_can_be_seen(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(BLOCKED), "WORKBENCH_TEST_CALLS": str(tmp_path / "calls.txt")}
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
    assert subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True).returncode == 1
    assert "192.0.2.1" in (tmp_path / "calls.txt").read_text()


def test_every_student_edition_runs_untouched(solved: dict[str, Any], place: Path, tmp_path: Path) -> None:
    """As a person sees them, with controls; all by one nbval in one kernel, which forgets every name between two lessons."""
    together = nbformat.v4.new_notebook(metadata=build.METADATA)
    for lesson in LESSONS:
        student = nbformat.read(build.notebook_path(lesson, "student"), as_version=4)
        _with_parameters(student, {"store_folder": str(place / "runs")} | dict(lesson.fast))
        together.cells += [*student.cells, nbformat.v4.new_code_cell("%reset -f")]
    path = tmp_path / "all_lessons.ipynb"
    nbformat.write(together, path)
    arguments = ["--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider", "-p", "no:xdist", "-q"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, f"--rootdir={tmp_path}", "-c", os.devnull, str(path)],
        cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, env=os.environ | {"WORKBENCH_VIEW": "live"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    kept = Progress(tmp_path / "progress.json").record()["exercises"]
    assert {name: each["verdict"] for name, each in kept.items()} == {
        each.id: "not_attempted" for lesson in LESSONS for each in lesson.exercises
    }


def _with_parameters(notebook: Any, values: dict[str, Any]) -> None:
    """Write values behind those of the parameters cell, as papermill does."""
    cell = next(each for each in notebook.cells if "parameters" in each.metadata.get("tags", []))
    cell.source += "".join(f"\n{name} = {value!r}" for name, value in values.items())


def _said(cell: Any) -> str:
    """Return what a cell printed and showed, as text."""
    return "\n".join(
        output.get("text")
        or " ".join(str(each) for kind, each in output.get("data", {}).items() if kind != "image/png")
        for output in cell.get("outputs", [])
    )
