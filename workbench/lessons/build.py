"""Builds a lesson's student and solution notebooks from its one source; the same source gives the same bytes.

A source is Python in the percent format. Besides `# %%` and `# %% [markdown]` it knows two cells of which it holds only what is
its own, and three markers that stand for cells which the lesson's own file fills:

    # %% parameters         after those that every lesson has
    # %% begin              imports; then the lesson begins

    # %% exercise 01.1      question · starter (student) or solution · check
    # %% predict 01.p1      in the solution with an answer
    # %% decide 01.d1       likewise

`python -m workbench.lessons.build` writes them all.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from workbench.errors import WorkbenchError
from workbench.lab import notebooks_folder
from workbench.lessons import catalog, texts
from workbench.lessons.exercise import Lesson

Edition = Literal["student", "solution"]
MARKER = re.compile(r"^# %%(?: (.*))?$")
PARAMETERS = """language = "en"  # or "zh"
progress_file = "progress.json"  # what you have solved; stays on this machine
"""
STORE_PARAMETER = 'store_folder = "../../runs"  # runs are kept there, and none is done twice\n'
BEGIN = """

lesson = Lesson("{number}", language=language, progress_file=progress_file)
lesson.begin()"""
LAST = (
    '**That was the last lesson.** In a terminal: `workbench lesson certificate me.html --person "My name"` writes a page that says what '
    'you have solved, `workbench lesson export me.json --person "My name"` the file that your instructor asks for.'
)
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def folder() -> Path:
    """Return where the workshop's notebooks and their sources are."""
    return notebooks_folder() / "workshop"


def file_name(lesson: Lesson) -> str:
    return f"{lesson.number}_{lesson.name}"


def notebook_path(lesson: Lesson, edition: Edition, root: Path | None = None) -> Path:
    """Return where an edition lies in `root` (default: the workshop's own folder)."""
    place = root or folder()
    return (place if edition == "student" else place / "solutions") / f"{file_name(lesson)}.ipynb"


def text_of(lesson: Lesson, edition: Edition) -> str:
    """Return the notebook as it lies in its file; raises WorkbenchError when the lesson's source is missing or wrong."""
    source = folder() / f"{file_name(lesson)}.py"
    if not source.is_file():
        raise WorkbenchError(f"lesson {lesson.number} has no source", next_move=f"write {source}")
    written = source.read_text(encoding="utf-8")
    common = PARAMETERS + (STORE_PARAMETER if "store_folder" in written else "")
    cells = []
    for kind, text in _pieces(written):
        text = common + text if kind == "parameters" else text
        text += BEGIN.format(number=lesson.number) if kind == "begin" else ""
        cells += _cells(kind, text.strip("\n"), edition)
    _refuse_doubles(lesson, cells)
    last = [each for each in cells if each["cell_type"] == "markdown"][-1]
    last["source"] += f"\n\n{_way_on(lesson)}"
    record = {"cells": _with_ids(cells), "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _way_on(lesson: Lesson) -> str:
    """Return what stands below a lesson: the way to the next one, or home."""
    after = [each for each in catalog.lessons() if each.number > lesson.number]
    if not after:
        return LAST
    title = texts.of(after[0].name, "en")["title"]
    return f"**Next:** [{after[0].number} · {title}]({file_name(after[0])}.ipynb)"


def write(lesson: Lesson, edition: Edition, root: Path | None = None) -> Path:
    """Write one edition into `root` (default: the workshop's own folder) and return its path."""
    path = notebook_path(lesson, edition, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text_of(lesson, edition), encoding="utf-8")
    return path


def _pieces(source: str) -> Iterator[tuple[str, str]]:
    """Give (marker, text below it) for each cell of a source."""
    kind, lines = None, list[str]()
    for line in source.splitlines():
        found = MARKER.match(line)
        if found:
            if kind is not None:
                yield kind, "\n".join(lines).strip("\n")
            kind, lines = found.group(1) or "", []
        else:
            lines.append(line)
    if kind is not None:
        yield kind, "\n".join(lines).strip("\n")


def _cells(kind: str, text: str, edition: Edition) -> list[dict[str, Any]]:
    """Return the cells that one marker stands for."""
    word, _, name = kind.partition(" ")
    if word == "[markdown]":
        return [
            {"cell_type": "markdown", "source": "\n".join(line.removeprefix("#")[1:] for line in text.splitlines())}
        ]
    if word == "exercise":
        return _of_exercise(name, edition)
    if word in ("predict", "decide"):
        asked = catalog.question(name)
        further = f", {asked.solution!r}" if edition == "solution" else ""
        return [_code(f'lesson.{word}("{name}"{further})'.replace("'", '"'), word)]
    if word not in ("", "parameters", "begin"):
        raise WorkbenchError(f"a source knows no marker `# %% {kind}`", next_move="see workbench/lessons/build.py")
    return [_code(text, *filter(None, [word]))]


def _of_exercise(name: str, edition: Edition) -> list[dict[str, Any]]:
    exercise = catalog.exercise(name)
    text = exercise.solution if edition == "solution" else exercise.starter
    return [
        _code(f'lesson.ask("{name}")', "ask"),
        _code(text.strip("\n"), "exercise" if edition == "student" else "solution"),
        _code(f'lesson.check("{name}", {exercise.answer})', "check"),
    ]


def _code(text: str, *tags: str) -> dict[str, Any]:
    return {"cell_type": "code", "execution_count": None, "outputs": [], "source": text, "tags": list(tags)}


def _with_ids(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Name each cell after its content, so that an edit elsewhere leaves its id alone."""
    seen: dict[str, int] = {}
    made = []
    for cell in cells:
        text, tags = cell["source"], cell.pop("tags", [])
        count = seen[text] = seen.get(text, 0) + 1
        name = hashlib.sha256(f"{count}:{text}".encode()).hexdigest()[:8]
        made.append(cell | {"id": name, "metadata": {"tags": tags} if tags else {}, "source": text.splitlines(True)})
    return made


def _refuse_doubles(lesson: Lesson, cells: list[dict[str, Any]]) -> None:
    """Raise when an exercise or question of the lesson stands in its notebook not at all, or twice."""
    text = "\n".join(cell["source"] for cell in cells)
    for name in [*(each.id for each in lesson.exercises), *(each.id for each in lesson.questions)]:
        times = len(re.findall(rf'lesson\.(?:ask|predict|decide)\("{re.escape(name)}"', text))
        if times != 1:
            raise WorkbenchError(
                f"{name} stands {times} times in {file_name(lesson)}.py", next_move="name it once, by its marker"
            )


if __name__ == "__main__":
    for every in catalog.lessons():
        write(every, "student")
        write(every, "solution")
