"""Those who teach: a timetable that adds up, machines that aren't ready, three people's files as one heat map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from workbench.cli import app
from workbench.errors import InvalidInput
from workbench.lessons import agenda, build, catalog, class_page, classroom, rehearsal, texts
from workbench.lessons.exercise import Finding, Lesson
from workbench.lessons.progress import Progress
from workbench.lessons.rehearsal import Rehearsed

MISTAKE, RIGHT = Finding("try_again", "parameters_only"), Finding("ok")


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """Ada solves it at once, Bo after two mistakes and a hint, the third one doesn't; and a file that is none of these."""
    folder = tmp_path / "sent"
    people: dict[str, list[Finding]] = {"ada": [RIGHT], "bo": [MISTAKE, MISTAKE, RIGHT], "cy <b>": [MISTAKE]}
    for number, (person, findings) in enumerate(people.items()):
        progress = Progress(folder / f"{number}.json")
        for finding in findings:
            progress.checked("01.1", finding)
        progress.lock("01.p1", 100.0 * number)
        progress.measured("01.p1", 378.0)
        progress.name_person(person)
    Progress(folder / "1.json").hinted("01.1", 2)
    (folder / "notes.json").write_text("{}")
    return folder


def test_three_people_give_the_heat_map(sent: Path) -> None:
    found = classroom.collect(sent)
    assert found.people == ("ada", "bo", "cy <b>") and [name for name, _ in found.refused] == ["notes.json"]
    (row,) = found.rows
    assert row.id == "01.1" and row.share_solved == pytest.approx(2 / 3)
    assert row.misconceptions == (("parameters_only", 2),)
    assert [cell and (cell.verdict, cell.tries, cell.hints) for cell in row.cells] == [
        ("ok", 1, 0), ("ok", 3, 2), ("try_again", 1, 0),
    ]  # fmt: skip
    (predicted,) = found.predictions
    assert predicted.values == ((0.0, 1), (100.0, 1), (200.0, 1)) and predicted.measured == (378.0,) * 3


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_says_what_to_say_and_nobody_writes_html_into_it(sent: Path, language: str) -> None:
    text = class_page.page(classroom.collect(sent), language)
    assert "cy &lt;b&gt;" in text and "cy <b>" not in text
    assert {"en": "Only parameters are counted", "zh": "只计算了参数"}[language] in text
    assert "<script" not in text and "http" not in text
    assert 'title="3 tries, 2 hints, solved after' in text and 'title="1 try, 0 hints"' in text
    assert "measured: 378 (on 3 machines)" in text


def test_what_one_answer_gave_is_left_open_on_the_page_of_all(tmp_path: Path) -> None:
    Progress(tmp_path / "ada.json").checked("02.3", Finding("try_again", "other_layers"))
    text = class_page.page(classroom.collect(tmp_path))
    assert "exactly these layers: …" in text and "$" not in text


def test_nobody_is_named_when_asked(sent: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["instructor", "collect", str(sent), "--anonymise", "--page", str(tmp_path / "p.html")]
    )
    assert done.exit_code == 0 and "solved by 67%, most often parameters_only" in done.output
    page = (tmp_path / "p.html").read_text()
    assert "person 3" in page and "ada" not in page


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        classroom.collect(tmp_path)
    with pytest.raises(InvalidInput):
        classroom.readiness(tmp_path)


def test_those_with_problems_come_first_with_the_line_that_mends_it(tmp_path: Path) -> None:
    good = {"findings": [{"name": "python", "status": "PASS", "found": "3.12", "fix": ""}]}
    bad = {"findings": [{"name": "memory", "status": "FAIL", "found": "0.3 GiB", "fix": "close other programs"}]}
    for name, record in {"ada": good, "zoe": bad}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    (tmp_path / "broken.json").write_text("[")
    done = CliRunner().invoke(app, ["instructor", "readiness", str(tmp_path), "--json"])
    people = json.loads(done.output)["people"]
    assert [each["person"] for each in people] == ["broken", "zoe", "ada"]
    assert people[1]["problems"][0]["fix"] == "close other programs" and people[2]["problems"] == []


@pytest.mark.parametrize("lesson", catalog.lessons(), ids=lambda each: each.number)
def test_who_teaches_is_told_what_to_say_and_where_people_trip(lesson: Lesson) -> None:
    shown = CliRunner().invoke(app, ["instructor", "notes", lesson.name, "--language", "zh"])
    own = texts.of(lesson.name, "zh")
    assert shown.exit_code == 0 and own["title"] in shown.output
    told = json.loads(CliRunner().invoke(app, ["instructor", "notes", lesson.number, "--json"]).output)
    assert (len(told["traps"]), told["minutes"]) == (3, lesson.minutes) and told["say"] and told["ask"] and told["skip"]
    assert [each["id"] for each in told["exercises"]] == [each.id for each in lesson.exercises]


@pytest.mark.parametrize("minutes", [60, 120, 210, 390, 1000])
@pytest.mark.parametrize("track", sorted(agenda.TRACKS))
def test_a_timetable_fits_and_leaves_nothing_unsaid(minutes: int, track: str) -> None:
    made = agenda.plan(minutes, track=track)
    ends = [each.begins + each.minutes for each in made.items]
    assert [each.begins for each in made.items] == [0, *ends[:-1]]
    assert ends[-1] + made.unused_minutes == minutes and made.unused_minutes >= 0
    taught = [each.number for each in made.items if each.number]
    assert sorted([*taught, *made.left_out]) == [each.number for each in catalog.lessons()]
    assert taught[0] == "01" and all(each.drop_if_late for each in made.items if each.number)


def test_no_time_is_no_timetable() -> None:
    with pytest.raises(InvalidInput, match="hold no lesson"):
        agenda.plan(20)
    with pytest.raises(InvalidInput, match="no track"):
        agenda.plan(200, track="cosmic")


def test_rehearsed_seconds_replace_budgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert not next(each for each in agenda.plan(200).items if each.number == "01").is_measured
    rehearsal.keep([Rehearsed("01", 33.0, 60.0, (("run = …", 21.0),))])
    rehearsal.keep([Rehearsed("02", 50.0, 90.0, ())])
    assert set(rehearsal.known()) == {"01", "02"} and rehearsal.known()["01"].slow_cells == (("run = …", 21.0),)
    first = next(each for each in agenda.plan(200).items if each.number == "01")
    assert first.is_measured and first.seconds == 33.0


def _run(*words: str) -> Any:
    return CliRunner().invoke(app, ["lesson", *words])


def test_a_learner_sees_exports_and_begins_again(tmp_path: Path) -> None:
    kept = tmp_path / "progress.json"
    lesson = catalog.lesson("1")
    notebook = build.notebook_path(lesson, "student", tmp_path)
    notebook.write_text("mine")
    assert _run("export", str(tmp_path / "me.json"), "--progress", str(kept)).exit_code == 2
    Progress(kept).checked("01.1", RIGHT)
    row = json.loads(_run("status", "--json", "--progress", str(kept)).output)["lessons"][0]
    assert (row["number"], row["solved"], row["tries"]) == ("01", 1, 1)

    assert _run("export", str(tmp_path / "me.json"), "--person", "Ada", "--progress", str(kept)).exit_code == 0
    assert json.loads((tmp_path / "me.json").read_text())["person"] == "Ada"
    assert Progress(kept).record()["person"] == ""

    done = _run("reset", "1", "--progress", str(kept))
    assert done.exit_code == 0 and notebook.read_text() == build.text_of(lesson, "student")
    assert Progress(kept).record()["exercises"] == {}
    copies = sorted((tmp_path / "kept").iterdir())
    assert [path.suffix for path in copies] == [".ipynb", ".json"] and copies[0].read_text() == "mine"
    assert _run("reset", "01.1", "--progress", str(kept)).exit_code == 2
