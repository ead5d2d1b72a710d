"""The progress file: whole at any time, written by several at once, honest about tries."""

from __future__ import annotations

import threading
from pathlib import Path

import orjson
import pytest

from workbench.errors import ArtifactError, InvalidInput
from workbench.lessons.exercise import Finding
from workbench.lessons.progress import Progress

WRONG, RIGHT, UNTOUCHED = Finding("try_again", "bits"), Finding("ok"), Finding("not_attempted")


@pytest.fixture
def progress(tmp_path: Path) -> Progress:
    return Progress(tmp_path / "progress.json")


def test_tries_mistakes_and_help_are_kept(progress: Progress) -> None:
    for finding in (UNTOUCHED, WRONG, WRONG, RIGHT, WRONG):
        progress.checked("01.1", finding)
    progress.hinted("01.1", 2)
    progress.hinted("01.1", 1)
    progress.saw_solution("01.1")
    kept = progress.exercise("01.1")
    assert (kept["tries"], kept["verdict"], kept["misconceptions"]) == (4, "ok", {"bits": 3})
    assert kept["solved"] and kept["hints"] == 2 and kept["saw_solution"]


def test_the_first_prediction_counts(progress: Progress) -> None:
    progress.lock("01.p1", 1.0)
    with pytest.raises(InvalidInput, match="locked"):
        progress.lock("01.p1", 2.0)
    assert progress.lock("01.p1", 1.0)["value"] == 1.0
    assert progress.measured("01.p1", 3.0) | {"at": ""} == {"value": 1.0, "measured": 3.0, "at": ""}
    assert progress.measured("01.p2", 3.0) == {"measured": 3.0} and progress.question("01.p2") == {}


def test_a_lesson_can_be_forgotten(progress: Progress) -> None:
    progress.checked("01.1", RIGHT)
    progress.checked("02.1", RIGHT)
    progress.lock("01.p1", 1.0)
    assert progress.forget("01") and not progress.forget("01")
    assert set(progress.record()["exercises"]) == {"02.1"} and progress.record()["questions"] == {}


def test_many_writers_lose_nothing(progress: Progress) -> None:
    def write(number: int) -> None:
        for _ in range(10):
            progress.checked(f"01.{number}", WRONG)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    assert [progress.exercise(f"01.{number}")["tries"] for number in range(4)] == [10] * 4


@pytest.mark.parametrize("content", [b"{", b"[]", orjson.dumps({"schema": 99})])
def test_a_foreign_file_is_refused_and_left_alone(progress: Progress, content: bytes) -> None:
    progress.path.write_bytes(content)
    with pytest.raises(ArtifactError):
        progress.checked("01.1", RIGHT)
    assert progress.path.read_bytes() == content


def test_a_file_names_nobody_unless_asked(progress: Progress) -> None:
    progress.opened("01.1")
    assert progress.record()["person"] == ""
    progress.name_person("Ada")
    assert progress.record()["person"] == "Ada"
