"""What of a destination is finished: written after each file, so that a killed shrinking goes on where it stood."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.errors import InvalidInput, WorkbenchError
from workbench.nouns import SCHEMA

NAME = "shrink.json"


class Journal:
    """The record of one destination: `job` says of what and how, `shards` what is there, `finished` that all is."""

    def __init__(self, folder: Path, job: Mapping[str, Any]) -> None:
        """Take up what is there; raises InvalidInput when the folder holds something else."""
        self.path = folder / NAME
        self.record: dict[str, Any] = {"schema": SCHEMA, "job": dict(job), "shards": {}, "finished": False}
        folder.mkdir(parents=True, exist_ok=True)
        if not self.path.is_file():
            if others := sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")):
                raise InvalidInput([f"{folder} holds {', '.join(others[:3])} already"], next_move="give a new folder")
            return
        try:
            found = json.loads(self.path.read_text())
            same = found["schema"] == SCHEMA and found["job"] == json.loads(json.dumps(job))
        except (ValueError, KeyError, TypeError) as error:
            raise WorkbenchError(
                f"{self.path} is damaged: {error!r}", next_move=f"remove {folder} and start anew"
            ) from error
        if not same:
            raise InvalidInput(
                [f"{folder} holds another shrinking: other steps, or a source that has changed since"],
                next_move="give a new folder, or remove that one",
            )
        self.record = found

    def add(self, name: str, told: Mapping[str, Any]) -> None:
        self.record["shards"][name] = dict(told)
        self.write()

    def write(self) -> None:
        write_json(self.path, self.record)


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record so that it appears whole; a full disk is told as an OSError."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    os.replace(partial, path)
