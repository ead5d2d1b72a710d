"""The folder of a batch: what is wanted, what happened, and the results of each row.

DIR/  batch.json   what was asked for, as a new runner needs it
      manifest.jsonl   one line after every change of a row's state
      env.json     machine and versions
      rows/<row_id>/   record.json, out.ipynb, log.txt, in_params.yaml, artifacts/, attempts/1/ …
      rows/.draft-<row_id>/   the same while it is made; a row appears by one rename
      index.html summary.md results.csv junit.xml
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from workbench import _lock, machine
from workbench.batch._record import Record, State, read_record
from workbench.errors import ArtifactError, InvalidInput, WorkbenchError
from workbench.launch import _worker
from workbench.recorder import now
from workbench.store import disk_errors, write_json

DRAFT = ".draft-"
PLAN = "batch.json"
SECONDS_BETWEEN_SIGNS = 10.0  # a runner touches its lock file so often
SECONDS_TO_BELIEVE = 60.0  # so old a sign of life from another machine is none


def num_bytes(path: str | Path) -> int:
    """Return the bytes of a file, or of all files below a folder; links count as nothing."""
    if not os.path.isdir(path):
        return os.path.getsize(path)
    with os.scandir(path) as entries:
        return sum(
            num_bytes(entry.path) if entry.is_dir(follow_symlinks=False) else entry.stat(follow_symlinks=False).st_size
            for entry in entries
            if not entry.is_symlink()
        )


class Folder:
    """Paths, records and the manifest of one batch."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self.rows = self.path / "rows"
        self.skipped: list[str] = []  # records that the last listing could not read

    @property
    def exists(self) -> bool:
        return (self.path / PLAN).is_file()

    def make(self) -> None:
        """Make the folder; refuses one that holds other things."""
        if self.path.exists() and not self.path.is_dir():
            raise InvalidInput([f"{self.path} is not a folder"])
        if self.path.is_dir() and not self.exists and any(self.path.iterdir()):
            raise InvalidInput([f"{self.path} holds other things"], next_move="name a new or empty folder with --out")
        with disk_errors(self.path):
            self.rows.mkdir(parents=True, exist_ok=True)

    def require(self) -> None:
        if not self.exists:
            raise InvalidInput([f"{self.path} holds no batch"], next_move="workbench batch run NOTEBOOK --out DIR")

    def write_plan(self, plan: dict[str, Any]) -> None:
        with disk_errors(self.path):
            write_json(self.path / PLAN, plan)

    def plan(self) -> dict[str, Any]:
        """Return what was asked for last."""
        self.require()
        try:
            return orjson.loads((self.path / PLAN).read_bytes())
        except orjson.JSONDecodeError as error:
            raise ArtifactError(f"{self.path / PLAN}: {error}") from None

    def write_environment(self, record: Mapping[str, Any] | None = None) -> str:
        """Note an environment (None = the one here) in env.json, and return its short name."""
        record = record or {"machine": machine.facts(), "versions": machine.versions()}
        env_id = hashlib.sha256(orjson.dumps(record, option=orjson.OPT_SORT_KEYS)).hexdigest()[:8]
        path = self.path / "env.json"
        known = orjson.loads(path.read_bytes()) if path.is_file() else {}
        if env_id not in known:
            write_json(path, {**known, env_id: record})
        return env_id

    # ── rows ──

    def row(self, row_id: str) -> Path:
        return self.rows / row_id

    def draft(self, row_id: str) -> Path:
        return self.rows / f"{DRAFT}{row_id}"

    def records(self, row_ids: Iterable[str] | None = None) -> dict[str, Record]:
        """Return the records by row; of all rows that lie there when None. Unreadable ones are named in `skipped`."""
        self.skipped = []
        if row_ids is None:
            names = sorted(entry.name for entry in os.scandir(self.rows)) if self.rows.is_dir() else []
            row_ids = [name for name in names if not name.startswith(".")]
        found = {}
        for row_id in row_ids:
            if (self.row(row_id) / "record.json").is_file():
                try:
                    found[row_id] = read_record(self.row(row_id))
                except ArtifactError as error:
                    self.skipped.append(error.message)
        return found

    def find(self, wanted: str) -> str:
        """Return the row with this id, or the only one whose id begins or ends so."""
        self.require()
        known = [path.name for path in self.rows.iterdir() if not path.name.startswith(".")]
        near = [row_id for row_id in known if row_id == wanted]
        near = near or [row_id for row_id in known if row_id.startswith(wanted) or row_id.endswith(wanted)]
        if len(near) != 1:
            how = "no row" if not near else f"{len(near)} rows"
            raise InvalidInput([f"{how} {wanted!r} in {self.path}"], next_move=f"workbench batch status {self.path}")
        return near[0]

    def publish(self, row_id: str) -> None:
        """Let a draft take the place of the row's result, in two renames."""
        draft, final = self.draft(row_id), self.row(row_id)
        with disk_errors(self.path):
            gone = self.rows / f".deleted-{row_id}-{time.time_ns()}"
            if final.exists():
                final.rename(gone)
            draft.rename(final)
            shutil.rmtree(gone, ignore_errors=True)

    def clear_left_overs(self) -> None:
        """Remove what a killed runner left: unfinished drafts, half-deleted rows. A draft with its record is published."""
        for path in self.rows.glob(f"{DRAFT}*"):
            if (path / "record.json").is_file():
                self.publish(path.name.removeprefix(DRAFT))
            else:
                shutil.rmtree(path, ignore_errors=True)
        for path in self.rows.glob(".deleted-*"):
            shutil.rmtree(path, ignore_errors=True)

    # ── the manifest ──

    def note(self, row_id: str, state: State, **more: Any) -> None:
        """Append one change of state."""
        self.note_all([(row_id, state, more)])

    def note_all(self, changes: Iterable[tuple[str, State, dict[str, Any]]]) -> None:
        moment = now()
        lines = [orjson.dumps({"t": moment, "row_id": row, "state": state, **more}) for row, state, more in changes]
        with disk_errors(self.path), (self.path / "manifest.jsonl").open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))

    def told(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of the manifest; half a line, left by a killed runner, is none."""
        path = self.path / "manifest.jsonl"
        if not path.is_file():
            return
        for line in path.read_bytes().splitlines():
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError:
                continue

    def states(self) -> dict[str, dict[str, Any]]:
        """Return the last line of each row."""
        return {line["row_id"]: line for line in self.told()}

    # ── one runner ──

    @contextmanager
    def held(self) -> Iterator[IO[bytes]]:
        """Be the only runner, and yield the lock; raises InvalidInput when another one works here.

        The lock vanishes with the last process that has it open: forks close it.
        """
        with disk_errors(self.path), (self.path / "runner.lock").open("ab") as lock:
            owner = self.runner()
            if not _lock.take(lock, wait=False) or (owner and owner["host"] != socket.gethostname()):
                who = f"process {owner['pid']} on {owner['host']}" if owner else "another process"
                raise InvalidInput(
                    [f"{who} runs this batch already"],
                    next_move=f"workbench batch status {self.path}, or workbench batch stop {self.path}",
                )
            facts = {
                "pid": os.getpid(),
                "born": _worker.born(os.getpid()),
                "host": socket.gethostname(),
                "since": now(),
            }
            write_json(self.path / "runner.json", facts)
            (self.path / "stop.json").unlink(missing_ok=True)
            try:
                yield lock
            finally:
                (self.path / "runner.json").unlink(missing_ok=True)

    def sign_of_life(self) -> None:
        """Say to other machines that this runner lives."""
        os.utime(self.path / "runner.json")

    def runner(self) -> dict[str, Any] | None:
        """Return pid, host and start of the runner that works here; None when none does."""
        path = self.path / "runner.json"
        try:
            owner = orjson.loads(path.read_bytes())
            age = time.time() - path.stat().st_mtime
        except (FileNotFoundError, orjson.JSONDecodeError):
            return None
        if owner["host"] != socket.gethostname():
            return owner if age < SECONDS_TO_BELIEVE else None
        return owner if _worker.lives(owner["pid"], owner["born"]) else None

    def ask_to_stop(self, *, at_once: bool) -> None:
        """Ask the runner to start no further row, and `at_once` also to end those that run."""
        if not self.runner():
            raise WorkbenchError(
                f"nobody runs {self.path}", next_move=f"workbench batch run --resume --out {self.path}"
            )
        write_json(self.path / "stop.json", {"at_once": at_once})

    def asked_to_stop(self) -> dict[str, Any] | None:
        try:
            return orjson.loads((self.path / "stop.json").read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError):
            return None
