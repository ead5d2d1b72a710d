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
NUMBER = re.compile(r"(?<![\w.,#])\d+(?:,\d{3})*(?:\.\d+)?(?!\w)")
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
    missing = _unprinted(solved[lesson.number])
    assert not missing, f"said, and printed by no cell: {missing}"


def test_a_figure_that_no_cell_prints_is_found() -> None:
    v4 = nbformat.v4
    chart = {
        "application/vnd.plotly.v1+json": {"x": [599, 94187]},
        "text/html": "<style>#T_701 {}</style><td>1,797</td>",
    }
    printed = v4.new_code_cell("…", outputs=[v4.new_output("stream", text="{'train': 598}"), v4.new_output("display_data", data=chart)])  # fmt: skip
    right = v4.new_markdown_cell("A network learns 598 digits of 1,797, `epochs=999`, 8 × 8.")
    wrong = v4.new_markdown_cell("A network with 94,187 numbers learns 599 digits, of 701.")
    assert _unprinted([right, printed]) == [] and _unprinted([wrong, printed]) == ["94,187", "599", "701"]


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


def _unprinted(cells: list[Any]) -> list[str]:
    """Return the figures of three digits and more that the prose says and no cell prints as a number of its own."""
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    printed = {each.replace(",", "") for cell in cells for each in NUMBER.findall(_said(cell))}
    said = NUMBER.findall(re.sub(r"`[^`]*`", "", prose))
    return [each for each in said if len(each.replace(",", "").partition(".")[0]) >= 3 and each.replace(",", "") not in printed]  # fmt: skip


def _said(cell: Any) -> str:
    """Return what people read of a cell's outputs: no chart's data, no style sheet."""
    outputs = cell.get("outputs", [])
    told = [each.get("text") or " ".join(map(str, map(each.get("data", {}).get, ("text/plain", "text/html", "text/markdown")))) for each in outputs]  # fmt: skip
    return re.sub(r"<style.*?</style>|<[^>]*>", " ", "\n".join(told), flags=re.DOTALL)
