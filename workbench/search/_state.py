"""What a search asked so far, on disk: a killed one goes on where it was.

    <store>/.search/<name>/question.json    model, aims, budgets and space, written once
    <store>/.search/<name>/trials.jsonl     a line when a trial is decided, another when its run has ended

Measurements stay in the runs, which are found again by their job ids; so nothing here can disagree with the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from workbench import _lock
from workbench.errors import WorkbenchError
from workbench.job import digest
from workbench.store import Store, disk_errors, write_json

FOLDER = ".search"


@dataclass(frozen=True)
class Trial:
    """One decided recipe. `refused` tells why it wasn't run; `status` is that of its run, empty while there is none."""

    number: int
    choices: Mapping[str, Any]  # name → option
    job_id: str
    steps: tuple[dict[str, Any], ...]
    format: dict[str, Any]
    how: str  # "start": from the fixed list; "model": proposed from what is known
    attempt: int = 0  # of proposals, those that only repeated a trial counted too
    refused: str = ""
    status: str = ""
    run_id: str = ""
    message: str = ""
    seconds: float | None = None  # of the wall, relatives included; None = not known


class State:
    """Open for one process at a time; closing, or dying, gives it back."""

    def __init__(self, store: Store, question: Mapping[str, Any]) -> None:
        self.name = digest(question)
        self.folder = store.root / FOLDER / self.name
        with disk_errors(store.root):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / "lock").open("ab")
        if not _lock.take(self._lock, wait=False):
            raise WorkbenchError(
                f"this search is under way in another process ({self.folder})",
                next_move="wait for it, or stop that one",
            )
        self._file = self.folder / "trials.jsonl"
        self.trials: list[Trial] = []
        self._read()

    def settled(self, name: str, make: Any) -> Any:
        """Return what was decided when the search began, deciding it now if it begins; `make()` gives a JSON value."""
        path = self.folder / f"{name}.json"
        if not path.exists():
            write_json(path, {"value": make()})
        return orjson.loads(path.read_bytes())["value"]

    def decided(self, trial: Trial) -> None:
        self.trials.append(trial)
        self._append({key: value for key, value in asdict(trial).items() if value not in ("", None)})

    def ended(self, number: int, **facts: Any) -> Trial:
        """Note how the run of a trial ended: status, run_id, message, seconds."""
        self.trials[number] = replace(self.trials[number], **facts)
        self._append({"number": number, "ended": facts})
        return self.trials[number]

    def close(self) -> None:
        self._lock.close()

    def _append(self, record: Mapping[str, Any]) -> None:
        with disk_errors(self.folder), self._file.open("ab") as file:
            file.write(orjson.dumps(record, option=orjson.OPT_NON_STR_KEYS) + b"\n")

    def _read(self) -> None:
        """Take up what is there; a last line that was cut off while it was written is dropped."""
        if not self._file.exists():
            return
        text = self._file.read_bytes()
        whole, newline, _ = text.rpartition(b"\n")
        if len(whole) + len(newline) < len(text):
            self._file.write_bytes(whole + newline)
        for line in whole.splitlines():
            record = orjson.loads(line)
            if "ended" in record:
                self.trials[record["number"]] = replace(self.trials[record["number"]], **record["ended"])
            else:
                self.trials.append(Trial(**{**record, "steps": tuple(record["steps"])}))


def folder_of(root: Path, name: str) -> Path:
    return root / FOLDER / name
