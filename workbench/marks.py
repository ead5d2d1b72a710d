"""What a person says of a run afterwards: tags, a note, a pin. A record is written once, so these lie beside it.

<store>/.marks/<run_id>.json    only for marked runs; replaced whole, so that of two writers the last one wins
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from workbench.errors import ArtifactError, InvalidInput
from workbench.nouns import SCHEMA
from workbench.store import DRAFT, MARKS, Store, disk_errors

TAG = re.compile(r"\w[\w.:/-]{0,49}")
MAX_NOTE = 2000  # characters


@dataclass(frozen=True)
class Marks:
    """What is known of one run beside its record."""

    tags: tuple[str, ...] = ()  # sorted
    note: str = ""
    pinned: bool = False  # never deleted, never tidied away
    imported_from: str = ""  # name of the file that it came in; empty = made in this store

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "tags": list(self.tags)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Marks:
        """Read a record; raises TypeError, KeyError or ValueError on a foreign shape."""
        values = {key: value for key, value in record.items() if key != "schema"}
        found = cls(**{**values, "tags": tuple(values["tags"])})
        texts = (*found.tags, found.note, found.imported_from)
        if not all(isinstance(text, str) for text in texts) or not isinstance(found.pinned, bool):
            raise TypeError("a field is of another type")
        if problems := _problems(found.tags, found.note):
            raise ValueError("; ".join(problems))
        return found


NONE = Marks()


def read_all(store: Store) -> dict[str, Marks]:
    """Return the marks of every marked run; files that can't be read are named in `store.skipped`."""
    folder = store.root / MARKS
    if not folder.is_dir():
        return {}
    found = {}
    for entry in os.scandir(folder):
        run_id, dot, ending = entry.name.rpartition(".")
        if ending != "json" or entry.name.startswith("."):
            continue
        try:
            found[run_id] = _read(entry.path)
        except ArtifactError as error:
            store.skipped.append(error.message)
    return found


def read(store: Store, run_id: str) -> Marks:
    """Return the marks of one run, empty ones when it has none; raises ArtifactError when they can't be read."""
    path = _path(store, run_id)
    return _read(path) if path.exists() else NONE


def mark(
    store: Store, run_id: str, *, add_tags: Iterable[str] = (), remove_tags: Iterable[str] = (),
    note: str | None = None, pinned: bool | None = None,
) -> Marks:  # fmt: skip
    """Change the marks of a run or a draft and return them; None leaves a note or a pin as it is.

    Raises InvalidInput for an unknown run, a tag that can't be one, or a note that is too long.
    """
    added = tuple(add_tags)
    problems = _problems(added, note or "")
    if not _is_there(store, run_id):
        problems.insert(0, f"no run {run_id!r} in {store.root}")
    if problems:
        raise InvalidInput(
            problems, next_move="workbench table lists the runs; a tag is a word such as good or round-2"
        )
    before = read(store, run_id)
    after = replace(
        before,
        tags=tuple(sorted({*before.tags, *added} - set(remove_tags))),
        note=before.note if note is None else note.strip(),
        pinned=before.pinned if pinned is None else pinned,
    )
    write(store, run_id, after)
    return after


def write(store: Store, run_id: str, marks: Marks) -> None:
    """Replace the marks of a run as a whole; empty ones leave no file."""
    path = _path(store, run_id)
    if marks == NONE:
        path.unlink(missing_ok=True)
        return
    partial = path.with_name(f".{run_id}.{uuid.uuid4().hex}.partial")
    with disk_errors(store.root):
        path.parent.mkdir(exist_ok=True)
        try:
            with partial.open("xb") as file:
                file.write(orjson.dumps({"schema": SCHEMA, **marks.to_json()}, option=orjson.OPT_INDENT_2))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def _path(store: Store, run_id: str) -> Path:
    return store.root / MARKS / f"{run_id}.json"


def _is_there(store: Store, run_id: str) -> bool:
    if not run_id or run_id.startswith(".") or Path(run_id).name != run_id:
        return False
    return (store.root / run_id).is_dir() or (store.root / f"{DRAFT}{run_id}").is_dir()


def _problems(tags: Iterable[str], note: str) -> list[str]:
    problems = [
        f"{tag!r} can't be a tag: up to 50 letters, digits and . : / _ -, the first a letter or a digit"
        for tag in tags
        if not TAG.fullmatch(tag)
    ]
    if len(note.strip()) > MAX_NOTE:
        problems.append(f"a note has at most {MAX_NOTE:,} characters, this one {len(note.strip()):,}")
    return problems


def _read(path: str | Path) -> Marks:
    try:
        with open(path, "rb") as file:
            return Marks.from_json(orjson.loads(file.read()))
    except (orjson.JSONDecodeError, TypeError, KeyError, ValueError, AttributeError, OSError) as error:
        raise ArtifactError(
            f"{path}: not readable marks ({error})", next_move="repair the file, or remove it"
        ) from None
