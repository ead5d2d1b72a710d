"""The commands of somebody who learns: workbench lesson doctor, start, status, reset, export, challenge, certificate."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli._options import HERE, Json, Step, Store
from workbench.errors import InvalidInput

if TYPE_CHECKING:
    from workbench.lessons.exercise import Lesson
    from workbench.lessons.progress import Progress

lesson = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The workshop, for those who learn: begin a lesson, see how far you are."
)  # fmt: skip
File = Annotated[
    Path | None, typer.Option("--progress", metavar="FILE", help="Default: progress.json beside the lessons' notebooks")
]


def _place() -> Path:
    """Return the folder of the lessons that a person works in."""
    from workbench.lab import folder_to_work_in

    return folder_to_work_in(Path.cwd()) / "workshop"


def _progress(file: Path | None) -> Progress:
    from workbench.lessons.progress import NAME, Progress

    return Progress(file or _place() / NAME)


@lesson.command()
def doctor(
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Also write the record, for the instructor")] = None,
    store: Store = HERE,
    json: Json = False,
) -> None:  # fmt: skip
    """Say whether this machine is ready for the workshop, and what to mend; carries out one check.

    \b
    --json: {"schema", "ok", "findings": [{"name", "status": PASS|WARN|FAIL, "found", "fix"}], "minutes": of all lessons}
    """
    from workbench.cli._options import exit_unless
    from workbench.cli._text import console, say_json, say_rows
    from workbench.lessons import readiness

    findings = readiness.look(store)
    record = readiness.to_json(findings)
    if to:
        import json as text

        to.write_text(text.dumps(record, indent=1) + "\n")
    if json:
        say_json(record)
    else:
        say_rows(
            ("", "looked at", "found", "fix"), [(each.status, each.name, each.found, each.fix) for each in findings]
        )
        console().print(f"all lessons: {record['minutes']} minutes in a class", markup=False)
    exit_unless(record["ok"])


@lesson.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def start(
    context: typer.Context,
    number: Annotated[str, typer.Argument(metavar="LESSON", help="1, 02, pruning …")] = "1",
) -> None:
    """Open a lesson in JupyterLab; further words go to JupyterLab, as in `workbench lesson start 1 --no-browser`."""
    from workbench.lessons import build, catalog

    notebook = build.notebook_path(catalog.lesson(number), "student", _place())
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", str(notebook), *context.args])


@lesson.command()
def status(progress: File = None, json: Json = False) -> None:
    """Say how far you are: exercises solved, tries, hints; and how long a lesson takes.

    \b
    --json: {"schema", "file", "lessons": [{"number", "name", "minutes", "run_seconds", "is_measured", "solved", "exercises":
      {ID: {"opened", "tries", "verdict", "solved", "hints", "saw_solution", "resets", "misconceptions"}}}]}
    """
    from workbench.cli._text import console, say_json, say_rows
    from workbench.lessons import catalog

    kept = _progress(progress)
    record = kept.record()["exercises"]
    rows = [_status(each, record) for each in catalog.lessons()]
    if json:
        say_json({"file": str(kept.path), "lessons": rows})
        return
    say_rows(
        ("lesson", "", "solved", "tries", "hints", "minutes", "its cells run in"),
        [
            (row["number"], row["title"], f"{row['solved']} of {row['total']}", str(row["tries"]), str(row["hints"]),
             str(row["minutes"]), f"{row['run_seconds']:.0f} s{'' if row['is_measured'] else ' (budget)'}")
            for row in rows
        ],
    )  # fmt: skip
    console().print(f"kept in {kept.path}", markup=False)


def _status(each: Lesson, record: dict[str, Any]) -> dict[str, Any]:
    from workbench.lessons import rehearsal, texts

    mine = {exercise.id: record[exercise.id] for exercise in each.exercises if exercise.id in record}
    measured = rehearsal.known().get(each.number)
    return {
        "number": each.number,
        "name": each.name,
        "title": texts.of(each.name, "en")["title"],
        "minutes": each.minutes,
        "run_seconds": measured.seconds if measured else each.run_seconds,
        "is_measured": measured is not None,
        "solved": sum(kept["verdict"] == "ok" for kept in mine.values()),
        "total": len(each.exercises),
        "tries": sum(kept["tries"] for kept in mine.values()),
        "hints": sum(kept["hints"] for kept in mine.values()),
        "exercises": mine,
    }


@lesson.command()
def reset(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="A lesson (02), an exercise (02.1) or a question (02.p1)")
    ],
    progress: File = None,
) -> None:
    """Begin again: a lesson's notebook as it was given, and what was kept forgotten; the old ones stay, dated."""
    from workbench.lessons import build, catalog

    kept = _progress(progress)
    if "." in what:
        if not kept.forget(what):
            raise InvalidInput([f"nothing is kept of {what!r}"], next_move="workbench lesson status")
        typer.echo(f"forgotten: {what}")
        return
    chosen = catalog.lesson(what)
    notebook = build.notebook_path(chosen, "student", kept.path.parent)
    for path in (notebook, kept.path):
        if path.is_file():
            typer.echo(f"kept: {_dated_copy(path, kept.path.parent / 'kept')}")
    notebook.write_text(build.text_of(chosen, "student"), encoding="utf-8")
    kept.forget(chosen.number)
    typer.echo(f"as it was given: {notebook}")


def _dated_copy(path: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return Path(shutil.copyfile(path, folder / f"{path.stem}-{datetime.now():%Y%m%d-%H%M%S}{path.suffix}"))


@lesson.command()
def export(
    to: Annotated[Path, typer.Argument(metavar="FILE.json", help="The file to send to the instructor")],
    person: Annotated[str, typer.Option(help="How you want to be called there; nothing else names you")] = "",
    progress: File = None,
) -> None:
    """Write what you have done into one small file: tries, hints, predictions, decisions; no answers."""
    import json

    record = _progress(progress).record()
    if not record["exercises"] and not record["questions"]:
        raise InvalidInput(["nothing is kept yet"], next_move="workbench lesson start 1")
    to.write_text(json.dumps(record | {"person": person}, indent=1) + "\n", encoding="utf-8")
    typer.echo(to)


@lesson.command()
def challenge(
    word: Annotated[str, typer.Option(metavar="WORD", help="It decides which digits train, validate and test")],
    step: Step = None,
    store: Store = HERE,
    progress: File = None,
    json: Json = False,
) -> None:
    """Score a recipe on small_cnn: how many times smaller its file is, if it loses at most 2 points of test accuracy.

    The best score of each word is kept, and goes to the instructor with `workbench lesson export`.

    \b
    --json: {"schema", "word_sha256", "recipe", "num_bytes", "drop": points, "times_smaller": 0 when it lost more, "best"}
    """
    from workbench.cli._text import say_json
    from workbench.lessons import challenge as challenges
    from workbench.part_text import part_record
    from workbench.store import Store as RunStore

    if not step:
        raise InvalidInput(
            ["a recipe has at least one step"], next_move="--step 'channel_prune ratio=0.5' --step 'train epochs=10'"
        )
    steps = [part_record("compress", text, where=f"steps[{index}]") for index, text in enumerate(step)]
    reached = challenges.score(steps, word, RunStore(store))
    best = _progress(progress).scored(reached.to_json())
    if json:
        say_json({**reached.to_json(), "best": best["times_smaller"]})
        return
    told = (
        f"{reached.times_smaller:g} × smaller"
        if reached.times_smaller
        else f"no score: more than {challenges.MAX_DROP:g} points lost"
    )
    typer.echo(
        f"{told}: {reached.num_bytes:,} bytes, {reached.drop:+.2f} points lost; best of this word so far: {best['times_smaller']:g} ×"
    )


@lesson.command()
def certificate(
    to: Annotated[Path, typer.Argument(metavar="FILE.html|FILE.json", help="The ending decides")],
    person: Annotated[str, typer.Option(help="Whose name stands on it")] = "",
    language: Annotated[str, typer.Option(help="en or zh: of the lessons' titles")] = "en",
    progress: File = None,
) -> None:
    """Write what you have solved on one page: lessons, quiz, challenge."""
    import json

    from workbench.lessons import certificate as certificates

    if to.suffix not in (".html", ".json"):
        raise InvalidInput([f"{to}: a certificate ends in .html or .json"])
    told = certificates.of(_progress(progress).record(), person, language)
    to.write_text(
        json.dumps(told, indent=1) + "\n" if to.suffix == ".json" else certificates.page(told, language),
        encoding="utf-8",
    )
    typer.echo(to)
