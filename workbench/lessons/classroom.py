"""What a class has done, from the files that people sent: progress files of lessons, findings of doctors."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.errors import ArtifactError, InvalidInput
from workbench.lessons import catalog, progress, quiz


@dataclass(frozen=True)
class Cell:
    """One person's exercise; `minutes` from first seen to solved, None where it isn't solved."""

    verdict: str
    tries: int
    hints: int
    saw_solution: bool
    minutes: float | None


@dataclass(frozen=True)
class Row:
    """One exercise over all people, in their order; None where somebody never opened it."""

    id: str
    cells: tuple[Cell | None, ...]
    median_minutes: float | None  # of those who solved it; None when nobody did
    misconceptions: tuple[tuple[str, int], ...]  # name → people who had it, the commonest first

    @property
    def share_solved(self) -> float:
        """Return the share of those who opened it that solved it; 0 where nobody did."""
        opened = [cell for cell in self.cells if cell]
        return sum(cell.verdict == "ok" for cell in opened) / len(opened) if opened else 0.0


@dataclass(frozen=True)
class Predicted:
    """All predictions of one question: each value with how many gave it, and what was measured on their machines."""

    id: str
    values: tuple[tuple[Any, int], ...]
    measured: tuple[Any, ...]


@dataclass(frozen=True)
class Scored:
    """The scores of one word of the challenge, the best first: (person, what `challenge.Score` holds)."""

    word_sha256: str
    scores: tuple[tuple[str, Mapping[str, Any]], ...]


@dataclass(frozen=True)
class Class:
    """A class as collected; `refused` holds files that are no progress files, with the reason."""

    people: tuple[str, ...]
    rows: tuple[Row, ...]
    predictions: tuple[Predicted, ...]
    refused: tuple[tuple[str, str], ...]
    quiz: tuple[
        tuple[str, int, int], ...
    ] = ()  # question, people who had it right, people who answered; the hardest first
    challenges: tuple[Scored, ...] = ()


def collect(folder: Path, *, anonymise: bool = False) -> Class:
    """Read every JSON file of a folder; people are called as they named themselves, else after their file.

    Raises InvalidInput when no file is a progress file.
    """
    records, refused = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            record = progress.read(path)
            records.append((record["person"] or path.stem, record))
        except (ArtifactError, KeyError) as error:
            refused.append((path.name, str(error)))
    if not records:
        raise InvalidInput(
            [f"no progress file in {folder}"], next_move="people write one with: workbench lesson export"
        )
    names = [f"person {index}" for index in range(1, len(records) + 1)] if anonymise else [name for name, _ in records]
    kept = [record for _, record in records]
    rows = tuple(_row(each.id, kept) for lesson in catalog.lessons() for each in lesson.exercises)
    asked = [each.id for lesson in catalog.lessons() for each in lesson.questions]
    predictions = tuple(_predicted(name, kept) for name in asked)
    return Class(
        tuple(names), tuple(row for row in rows if any(row.cells)), tuple(each for each in predictions if each.values),
        tuple(refused), _quiz(kept), _challenges(names, kept),
    )  # fmt: skip


def readiness(folder: Path) -> list[tuple[str, list[Mapping[str, str]]]]:
    """Return for each file of `workbench lesson doctor --to` whose it is and what isn't PASS, those with problems first."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            findings = json.loads(path.read_text())["findings"]
        except (json.JSONDecodeError, KeyError, TypeError):
            findings = [{"name": "file", "status": "FAIL", "found": "no doctor's record", "fix": "ask for it again"}]
        found.append((path.stem, [each for each in findings if each["status"] != "PASS"]))
    if not found:
        raise InvalidInput(
            [f"no file in {folder}"], next_move="people write one with: workbench lesson doctor --to FILE"
        )
    return sorted(found, key=lambda each: (not any(one["status"] == "FAIL" for one in each[1]), each[0]))


def _quiz(records: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, int, int], ...]:
    given = [record["quiz"]["answers"] for record in records if "quiz" in record]
    counted = [(name, sum(each.get(name) == right for each in given), len(given)) for name, right in quiz.RIGHT.items()]
    return tuple(sorted(counted, key=lambda each: each[1])) if given else ()


def _challenges(names: Sequence[str], records: Sequence[Mapping[str, Any]]) -> tuple[Scored, ...]:
    found: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for name, record in zip(names, records):
        for word, score in record.get("scores", {}).items():
            found.setdefault(word, []).append((name, score))
    return tuple(
        Scored(word, tuple(sorted(scores, key=lambda each: -each[1]["times_smaller"])))
        for word, scores in found.items()
    )


def _row(name: str, records: Sequence[Mapping[str, Any]]) -> Row:
    kept = [record["exercises"].get(name) for record in records]
    cells = tuple(_cell(each) if each else None for each in kept)
    minutes = [cell.minutes for cell in cells if cell and cell.minutes is not None]
    had = Counter(mistake for each in kept if each for mistake in each["misconceptions"])
    return Row(name, cells, statistics.median(minutes) if minutes else None, tuple(had.most_common()))


def _cell(kept: Mapping[str, Any]) -> Cell:
    minutes = None
    if kept["solved"]:
        took = datetime.fromisoformat(kept["solved"]) - datetime.fromisoformat(kept["opened"])
        minutes = round(took.total_seconds() / 60, 1)
    return Cell(kept["verdict"], kept["tries"], kept["hints"], kept["saw_solution"], minutes)


def _predicted(name: str, records: Sequence[Mapping[str, Any]]) -> Predicted:
    kept = [record["questions"][name] for record in records if name in record["questions"]]
    counted = Counter(json.dumps(each["value"], sort_keys=True) for each in kept)
    values = sorted(((json.loads(text), count) for text, count in counted.items()), key=lambda each: _rank(each[0]))
    return Predicted(name, tuple(values), tuple(each["measured"] for each in kept if "measured" in each))


def _rank(value: Any) -> tuple[float, str]:
    """Order numbers by size, and everything else by its text."""
    return (float(value), "") if isinstance(value, int | float) else (0.0, str(value))
