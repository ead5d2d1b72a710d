"""The commands of somebody who teaches: workbench instructor plan, notes, readiness, rehearse, collect, bundle, rebuild."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli._options import HERE, Json, Store
from workbench.errors import InvalidInput

if TYPE_CHECKING:
    from workbench.lessons.rehearsal import Rehearsed

instructor = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The workshop, for those who teach: timetable, machines, what a class has done."
)  # fmt: skip
Folder = Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The files that people sent")]
Language = Annotated[str, typer.Option(help="en or zh")]


@instructor.command()
def plan(
    minutes: Annotated[int, typer.Option(min=1, help="That there are, breaks included")] = 210,
    track: Annotated[str, typer.Option(help="edge, cloud or models: which lessons go first")] = "edge",
    people: Annotated[int, typer.Option(min=1, help="On one machine, for its size")] = 20,
    address: Annotated[str, typer.Option(help="Where people clone the workbench from")] = "ADDRESS",
    language: Language = "en",
    json: Json = False,
) -> None:
    """Make a timetable with slack and breaks, what to drop when late, the size of a shared machine, and the mail to send.

    \b
    --json: {"schema", "items": [{"begins", "minutes", "number", "title", "seconds", "is_measured", "drop_if_late": [IDs]}],
      "left_out": [LESSONS], "minutes", "unused_minutes", "people", "memory_gib", "cores", "mail"}
    """
    from dataclasses import asdict

    from workbench.cli._text import console, say_json, say_rows
    from workbench.lessons import agenda

    made = agenda.plan(minutes, track=track, people=people, language=language)
    if json:
        say_json({**asdict(made), "mail": made.mail(address)})
        return
    say_rows(
        ("at", "minutes", "lesson", "", "its cells run in", "drop if late"),
        [
            (f"{each.begins // 60}:{each.begins % 60:02}", str(each.minutes), each.number, each.title,
             f"{each.seconds:.0f} s{'' if each.is_measured else ' (budget)'}" if each.number else "", ", ".join(each.drop_if_late))
            for each in made.items
        ],
    )  # fmt: skip
    say = console().print
    if made.left_out:
        say(f"doesn't fit: {', '.join(made.left_out)}", markup=False)
    say(f"{made.unused_minutes} of {made.minutes} minutes are left", markup=False)
    say(f"one machine for {people} people: {made.memory_gib:.0f} GiB of memory, {made.cores} cores", markup=False)
    say(f"\n{made.mail(address)}", markup=False)


@instructor.command()
def notes(
    lesson: Annotated[str, typer.Argument(metavar="LESSON", help="1, 02, pruning …")],
    language: Language = "en",
    json: Json = False,
) -> None:
    """Say what helps to teach a lesson: what to say and to ask, where people trip, what to skip when late, minutes of each exercise.

    \b
    --json: {"schema", "number", "title", "minutes", "say", "ask", "traps": [sentences], "skip",
      "exercises": [{"id", "title", "minutes", "is_bonus"}]}
    """
    from workbench.cli._text import say_json, say_rows
    from workbench.lessons import catalog
    from workbench.lessons.words import Words

    chosen = catalog.lesson(lesson)
    words = Words(chosen, language)
    exercises = [
        {"id": each.id, "title": words.exercise(each.id)["title"], "minutes": each.minutes, "is_bonus": each.is_bonus}
        for each in chosen.exercises
    ]
    told = words.own["notes"]
    if json:
        say_json(
            {"number": chosen.number, "title": words.own["title"], "minutes": chosen.minutes, **told, "exercises": exercises}
        )  # fmt: skip
        return
    rows = [("say", told["say"]), ("ask", told["ask"]), *(("where people trip", each) for each in told["traps"])]
    say_rows(
        ("", f"{chosen.number} {words.own['title']}, {chosen.minutes} minutes"), [*rows, ("when late", told["skip"])]
    )
    say_rows(
        ("exercise", "", "minutes"),
        [(each["id"], f"{each['title']}{' (bonus)' * each['is_bonus']}", str(each["minutes"])) for each in exercises],
    )


@instructor.command()
def readiness(folder: Folder, json: Json = False) -> None:
    """Say who has a problem and the line that mends it, from the files of `workbench lesson doctor --to FILE`.

    \b
    --json: {"schema", "people": [{"person", "problems": [{"name", "status": WARN|FAIL, "found", "fix"}]}]}
    """
    from workbench.cli._text import console, say_json, say_rows
    from workbench.lessons import classroom

    found = classroom.readiness(folder)
    if json:
        say_json({"people": [{"person": name, "problems": problems} for name, problems in found]})
        return
    rows = [
        (name, each["status"], each["name"], each["found"], each["fix"])
        for name, problems in found
        for each in problems
    ]
    if rows:
        say_rows(("who", "", "looked at", "found", "fix"), rows)
    stuck = sum(any(each["status"] == "FAIL" for each in problems) for _, problems in found)
    console().print(f"{len(found)} machine{'s' * (len(found) != 1)}, {len(found) - stuck} ready", markup=False)


@instructor.command()
def rehearse(
    lesson: Annotated[list[str] | None, typer.Argument(metavar="[LESSON]...", help="Default: all")] = None,
    fast: Annotated[bool, typer.Option("--fast", help="The short versions; their times aren't kept")] = False,
    json: Json = False,
) -> None:
    """Run the lessons' solutions on this machine; the measured seconds replace the budgets that learners and plans see.

    \b
    --json: {"schema", "lessons": [{"number", "seconds", "budget_seconds", "slow_cells": [[first line, seconds]], "memory_bytes": of its kernel}]}
    """
    import tempfile
    from dataclasses import asdict

    from workbench.cli._text import say_json
    from workbench.lessons import catalog, rehearsal

    chosen = [catalog.lesson(each) for each in lesson] if lesson else list(catalog.lessons())
    with tempfile.TemporaryDirectory(prefix="workbench-rehearsal-") as place:
        done = rehearsal.rehearse(chosen, Path(place), fast=fast, on_lesson=None if json else _say)
    if json:
        say_json({"lessons": [asdict(each) for each in done]})


def _say(each: Rehearsed) -> None:
    """Say one lesson's times as soon as they are known."""
    over = "" if each.is_within_budget else ": over budget"
    memory = f", {each.memory_bytes / 1e9:.2f} GB" if each.memory_bytes else ""
    typer.echo(f"{each.number}  {each.seconds:.0f} s of {each.budget_seconds:.0f} s{memory}{over}")
    for line, seconds in each.slow_cells:
        typer.echo(f"    {seconds:.0f} s  {line[:90]}")


@instructor.command()
def collect(
    folder: Folder,
    page: Annotated[Path, typer.Option("--page", metavar="PAGE.html", help="The heat map")] = Path("class.html"),
    anonymise: Annotated[bool, typer.Option("--anonymise", help="Call people person 1, person 2 …")] = False,
    language: Language = "en",
    json: Json = False,
) -> None:
    """Read the files of `workbench lesson export`: a heat map, the commonest mistakes with what to say, predictions.

    \b
    --json: {"schema", "people": [NAMES], "rows": [{"id", "cells": [{"verdict", "tries", "hints", "saw_solution", "minutes"} or null],
      "median_minutes", "misconceptions": [[NAME, people]]}], "predictions": [{"id", "values": [[VALUE, people]], "measured"}],
      "refused": [[FILE, why]]}
    """
    from dataclasses import asdict

    from workbench.cli._text import say_json
    from workbench.lessons import class_page, classroom

    found = classroom.collect(folder, anonymise=anonymise)
    page.write_text(class_page.page(found, language), encoding="utf-8")
    if json:
        say_json(asdict(found))
        return
    for row in found.rows:
        mistake = f", most often {row.misconceptions[0][0]}" if row.misconceptions else ""
        typer.echo(f"{row.id}  solved by {row.share_solved:.0%}{mistake}")
    for name, why in found.refused:
        typer.echo(f"left out: {name}: {why}", err=True)
    typer.echo(page)


@instructor.command()
def bundle(
    file: Annotated[Path, typer.Argument(metavar="FILE.zip", help="The zip to hand out")],
    json: Json = False,
) -> None:
    """Make one zip that installs the workshop without a network: wheels, notebooks, data, stored results, a script.

    It holds the versions that are installed here, for machines of this kind (system, Python). pip takes the wheels from its
    index and cache, so make it where there is a network.

    \b
    --json: {"schema", "file", "bytes", "installed_bytes", "packages": {NAME: {"version", "installed_bytes"}}}
    """
    from workbench.cli._text import say_json
    from workbench.lessons import bundle as bundles
    from workbench.wording import bytes_text

    wanted = bundles.needed(bundles.checkout())
    if not json:
        largest = ", ".join(f"{name} {bytes_text(size)}" for name, size in wanted.largest(4))
        typer.echo(
            f"{len(wanted.packages)} packages take {bytes_text(wanted.num_bytes)} installed ({largest}); the zip takes about "
            f"a third, {bytes_text(bundles.free_bytes(file))} are free"
        )
    made = bundles.make(file, say=(lambda text: None) if json else typer.echo)
    if json:
        packages = {
            name: {"version": version, "installed_bytes": size} for name, (version, size) in wanted.packages.items()
        }
        say_json(
            {"file": str(made), "bytes": made.stat().st_size, "installed_bytes": wanted.num_bytes, "packages": packages}
        )
        return
    typer.echo(f"{made}: {bytes_text(made.stat().st_size)}. On the other machine: unpack it, python install.py")


@instructor.command()
def rebuild(
    lesson: Annotated[str, typer.Argument(metavar="LESSON", help="One that reads stored runs, such as 05")],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE.zip", help="Default: in the place of what is stored")
    ] = None,
    store: Store = HERE,
    workers: Annotated[int, typer.Option(min=1, help="Jobs that run side by side")] = 2,
) -> None:
    """Carry out the study whose stored runs a lesson reads, and keep its records, answers and times, without weights."""
    from workbench.cli._progress import StudyProgress
    from workbench.lessons import catalog, stored
    from workbench.store import Store as RunStore
    from workbench.study import carry_out_study, labels
    from workbench.wording import bytes_text

    chosen = catalog.lesson(lesson)
    if not chosen.stored:
        reading = ", ".join(each.number for each in catalog.lessons() if each.stored)
        raise InvalidInput([f"lesson {chosen.number} reads no stored runs"], next_move=f"those that do: {reading}")
    study = stored.study_of(chosen.stored)
    with StudyProgress(labels(study)) as progress:
        runs = carry_out_study(study, RunStore(store), workers=workers, on_event=progress)
    made = stored.pack(study, runs, to or stored.FOLDER / f"{chosen.stored}.zip")
    typer.echo(f"{made}: {len(runs)} runs, {bytes_text(made.stat().st_size)}")
