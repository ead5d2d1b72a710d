"""What a person has done, in one small file: whole at any time, in a fixed schema, with no name but one that was typed.

{"schema": 1, "person": "", "language": "en", "began": ISO time,
 "exercises": {"01.1": {"opened", "tries", "verdict", "solved", "hints", "saw_solution", "resets", "misconceptions": {NAME: times}}},
 "questions": {"01.p1": {"value", "at", "measured"}},
 "quiz": {"answers", "right", "of", "tries", "at"}, "scores": {SHA256 of a word: best score of that challenge}}    both may be absent
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from workbench import _lock
from workbench.errors import ArtifactError, InvalidInput
from workbench.lessons.exercise import Finding
from workbench.lessons.quiz import Marked

SCHEMA = 1
NAME = "progress.json"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def read(path: Path) -> dict[str, Any]:
    """Return the record of a progress file, an empty one where there is none; raises ArtifactError for anything else."""
    try:
        record = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return {"schema": SCHEMA, "person": "", "language": "en", "began": _now(), "exercises": {}, "questions": {}}
    except orjson.JSONDecodeError as error:
        raise ArtifactError(f"{path} is no progress file: {error}", next_move="move it away to begin anew") from None
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else type(record).__name__
        raise ArtifactError(f"{path} has schema {found!r}, this workbench reads {SCHEMA}", next_move="move it away")
    return record


@dataclass(frozen=True)
class Progress:
    """One person's file; several notebooks may write to it at once."""

    path: Path

    def record(self) -> dict[str, Any]:
        return read(self.path)

    def exercise(self, name: str) -> dict[str, Any]:
        """Return what is kept of an exercise; empty when it was never opened."""
        return dict(self.record()["exercises"].get(name, {}))

    def question(self, name: str) -> dict[str, Any]:
        """Return `{"value", "at"}` of a locked answer, with `measured` once that is known; empty before."""
        return dict(self.record()["questions"].get(name, {}))

    def opened(self, name: str) -> None:
        """Note when an exercise was first seen."""
        if not self.exercise(name):
            with self._changing() as record:
                _of(record, name)

    def checked(self, name: str, finding: Finding) -> dict[str, Any]:
        """Note a check and return what is kept; what is solved stays so, and answers not attempted are no tries."""
        with self._changing() as record:
            kept = _of(record, name)
            if finding.verdict != "not_attempted":
                kept["tries"] += 1
                if finding.misconception:
                    seen = kept["misconceptions"]
                    seen[finding.misconception] = seen.get(finding.misconception, 0) + 1
                if finding.verdict == "ok" and not kept["solved"]:
                    kept["solved"] = _now()
            if kept["verdict"] != "ok":
                kept["verdict"] = finding.verdict
        return dict(kept)

    def hinted(self, name: str, level: int) -> None:
        """Note the furthest hint that was looked at, 1 to 3."""
        with self._changing() as record:
            kept = _of(record, name)
            kept["hints"] = max(kept["hints"], level)

    def saw_solution(self, name: str) -> None:
        with self._changing() as record:
            _of(record, name)["saw_solution"] = True

    def was_reset(self, name: str) -> None:
        with self._changing() as record:
            _of(record, name)["resets"] += 1

    def lock(self, name: str, value: Any) -> dict[str, Any]:
        """Keep an answer to a question and return it; the first one counts, a second raises InvalidInput."""
        with self._changing() as record:
            kept = record["questions"].setdefault(name, {"value": value, "at": _now()})
        if kept["value"] != value:
            raise InvalidInput(
                [f"{name} is locked: {kept['value']!r}"], next_move=f"forget it with: workbench lesson reset {name}"
            )
        return dict(kept)

    def measured(self, name: str, value: Any) -> dict[str, Any]:
        """Keep what was measured beside the prediction, and return both; `value` is absent where nobody predicted."""
        with self._changing() as record:
            kept = record["questions"].get(name, {})
            if kept:
                kept["measured"] = value
        return {**kept, "measured": value}

    def quizzed(self, marked: Marked) -> dict[str, Any]:
        """Keep the answers to the quiz as they were handed in last, and return what is kept."""
        with self._changing() as record:
            tries = record.get("quiz", {}).get("tries", 0) + 1
            kept = {
                "answers": dict(marked.answers),
                "right": marked.num_right,
                "of": len(marked.answers),
                "tries": tries,
                "at": _now(),
            }
            record["quiz"] = kept
        return dict(kept)

    def scored(self, score: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a score where it is the best of its word, and return the best."""
        with self._changing() as record:
            scores = record.setdefault("scores", {})
            best = scores.get(score["word_sha256"])
            if best is None or score["times_smaller"] > best["times_smaller"]:
                scores[score["word_sha256"]] = dict(score) | {"at": _now()}
            kept = scores[score["word_sha256"]]
        return dict(kept)

    def forget(self, name: str) -> bool:
        """Take out one question or exercise, all of a lesson (`01`), or the `quiz`; False when there was nothing."""
        with self._changing() as record:
            if name in ("quiz", "scores"):
                return record.pop(name, None) is not None
            gone = [
                (group, key)
                for group in ("exercises", "questions")
                for key in record[group]
                if key == name or key.partition(".")[0] == name
            ]
            for group, key in gone:
                del record[group][key]
        return bool(gone)

    def name_person(self, person: str) -> None:
        with self._changing() as record:
            record["person"] = person

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        """Give the record to change, alone; afterwards it appears whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("ab") as file:
            _lock.take(file, wait=True)
            record = read(self.path)
            yield record
            draft = self.path.with_suffix(f".{os.getpid()}.draft")
            draft.write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY))
            os.replace(draft, self.path)


def _of(record: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the entry of an exercise, made where there is none."""
    fresh = {"opened": _now(), "tries": 0, "verdict": "not_attempted", "solved": "", "hints": 0,
             "saw_solution": False, "resets": 0, "misconceptions": {}}  # fmt: skip
    return record["exercises"].setdefault(name, fresh)
