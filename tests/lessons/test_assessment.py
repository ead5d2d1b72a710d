"""The end of the workshop: a quiz that marks, a challenge on digits that a word chooses, a certificate that says what the file says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from widgets import _lesson_quiz as shown
from workbench.cli import app
from workbench.errors import InvalidInput
from workbench.lessons import catalog, challenge, class_page, classroom, quiz, texts
from workbench.lessons.exercise import Finding
from workbench.lessons.progress import Progress
from workbench.lessons.words import Words
from workbench.store import Store

ALL_A = dict.fromkeys(quiz.RIGHT, "a")


def test_every_question_has_words_in_every_language_and_a_right_choice() -> None:
    assert len(quiz.RIGHT) == 10 and set(quiz.LESSON_OF.values()) == {each.number for each in catalog.lessons()}
    for language in texts.languages():
        own = quiz.words(language)
        assert list(own) == list(quiz.RIGHT)
        for each in own.values():
            assert tuple(each["choices"]) == quiz.CHOICES and each["ask"] and each["why"]
    assert {list(quiz.RIGHT.values()).count(key) for key in quiz.CHOICES} <= {3, 4}  # no key is a good guess


def test_a_quiz_is_marked_and_tells_why() -> None:
    assert quiz.mark(quiz.RIGHT).wrong == ()
    marked = quiz.mark(ALL_A)
    assert marked.num_right == 3 and "q1" in marked.wrong and "q3" not in marked.wrong
    told = shown.marked_html(Words(catalog.lesson("10"), "en"), marked, 2)
    assert "3 of 10 right (try 2)" in told and quiz.words("en")["q1"]["why"][:20] in told
    assert quiz.words("en")["q3"]["why"][:20] not in told


@pytest.mark.parametrize("given", [None, {}, ALL_A | {"q1": "z"}, ALL_A | {"q11": "a"}, {**ALL_A, "q4": None}])
def test_what_isnt_a_whole_quiz_is_refused(given: Any) -> None:
    with pytest.raises(InvalidInput):
        quiz.mark(given)


def test_menus_hand_in_what_they_show(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "progress.json")
    asked = shown.Asked(Words(catalog.lesson("10"), "zh"), progress)
    asked.hand_in.click()
    assert "q1" in asked.told.value and "quiz" not in progress.record()
    for name, menu in asked.menus.items():
        menu.value = quiz.RIGHT[name]
    asked.hand_in.click()
    assert "10" in asked.told.value and progress.record()["quiz"]["right"] == 10


def test_a_word_chooses_the_digits_and_the_best_score_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert challenge.split_seed("Red Fox") == challenge.split_seed("redfox") != challenge.split_seed("red fix")
    monkeypatch.setattr(challenge, "MODEL", {"use": "lenet_300_100", "hidden_1": 24, "hidden_2": 12})
    monkeypatch.setattr(challenge, "TRAIN", {"use": "train", "epochs": 3})
    progress, store = tmp_path / "progress.json", tmp_path / "runs"

    def scored(*words: str) -> dict[str, Any]:
        further = ["--word", "Red Fox", "--progress", str(progress), "--store", str(store), "--json"]
        done = CliRunner().invoke(app, ["lesson", "challenge", *words, *further])
        assert done.exit_code == 0, done.output
        return json.loads(done.output)

    fits = scored("--step", "int8_static")
    run = next(each for each in Store(store).runs() if each.parent)
    assert run.job["data"]["split_seed"] == challenge.split_seed("redfox")
    parent = Store(store).get(run.parent or "")
    assert fits["times_smaller"] == pytest.approx(
        parent.get("artifact_bytes").value / run.get("artifact_bytes").value, abs=0.01
    )
    monkeypatch.setattr(challenge, "MAX_DROP", -101.0)
    lost = scored("--step", "int8_static")
    assert lost["times_smaller"] == 0 and lost["best"] == fits["times_smaller"] > 1
    kept = progress.read_text()
    assert "Fox" not in kept and "fox" not in kept and fits["word_sha256"] in kept


def test_the_class_sees_the_hardest_question_and_who_leads(tmp_path: Path) -> None:
    for person, smaller in {"ada": 5.0, "bo": 7.5}.items():
        progress = Progress(tmp_path / f"{person}.json")
        progress.checked("01.1", Finding("ok"))
        progress.quizzed(quiz.mark(quiz.RIGHT if person == "ada" else ALL_A))
        score = {"word_sha256": "abc", "recipe": "<b>", "num_bytes": 1000, "drop": 0.5, "times_smaller": smaller}
        progress.scored(score)
        assert progress.scored(score | {"times_smaller": 1.0})["times_smaller"] == smaller
    found = classroom.collect(tmp_path)
    assert found.quiz[0][1:] == (1, 2) and found.quiz[-1][1:] == (2, 2)
    assert [name for name, _ in found.challenges[0].scores] == ["bo", "ada"]
    page = class_page.page(found, "zh")
    assert "7.5 ×" in page and "&lt;b&gt;" in page and quiz.words("zh")["q1"]["ask"] in page


def test_a_certificate_says_what_the_file_says(tmp_path: Path) -> None:
    kept = tmp_path / "progress.json"

    def certificate(name: str) -> Any:
        words = ["lesson", "certificate", str(tmp_path / name), "--person", "Ada <i>", "--progress", str(kept)]
        return CliRunner().invoke(app, words)

    assert certificate("me.html").exit_code == 2  # nothing is solved
    Progress(kept).checked("02.1", Finding("ok"))
    Progress(kept).quizzed(quiz.mark(ALL_A))
    assert (
        certificate("me.json").exit_code == certificate("me.html").exit_code == 0
        and certificate("me.pdf").exit_code == 2
    )
    told = json.loads((tmp_path / "me.json").read_text())
    assert [(each["number"], each["solved"], each["total"]) for each in told["lessons"]] == [("02", 1, 4)]
    assert told["quiz"] == {"right": 3, "of": 10, "tries": 1} and told["challenge"] is None
    page = (tmp_path / "me.html").read_text()
    assert "Ada &lt;i&gt;" in page and "1 of 4" in page and "3 of 10" in page and "nobody has watched" in page
