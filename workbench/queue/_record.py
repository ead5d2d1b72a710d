"""What lies on disk of one job in the queue: what was asked for, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from workbench import recorder
from workbench.nouns import Run

State = Literal["waiting", "running", "done", "failed", "cancelled", "lost"]
UNFINISHED: tuple[State, ...] = ("waiting", "running")
STATES = get_args(State)


@dataclass(frozen=True)
class Record:
    """One entry as it is written; its file carries its `entry_id` as name."""

    entry_id: str
    job_id: str
    job: Mapping[str, Any]
    state: State
    order: int  # small goes first
    added: str  # UTC, ISO 8601, as all moments here
    again: bool = False
    workers: int = 1  # how many jobs may run side by side, as the latest entry wants it
    for_job: str = ""  # the job that needs this one for its comparison; empty when it was asked for itself
    folder: str = ""  # where it was asked for: paths in the job are relative to it
    path: tuple[str, ...] = ()  # where modules were found there, beyond the interpreter's own places
    relatives: tuple[str, ...] = ()  # as `Needs`, so that readers need not know parts
    states: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    run_id: str | None = None  # None until it has a draft
    started: str | None = None
    ended: str | None = None
    error: Mapping[str, Any] | None = None  # kind, message, next, signal
    cancelling: bool = False

    @property
    def finished(self) -> bool:
        return self.state not in UNFINISHED

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Any, entry_id: str) -> Record:
        """Read a record; raises ValueError, TypeError or KeyError on anything else."""
        known = {field.name for field in fields(cls)}
        values: dict[str, Any] = {key: record[key] for key in record if key in known}
        values |= {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
        found = cls(**values)
        if found.state not in STATES or not isinstance(found.job, dict) or not isinstance(found.order, int):
            raise ValueError("not the record of a job in a queue")
        if found.entry_id != entry_id:
            raise ValueError(f"is the entry {found.entry_id}")
        return found


def unreadable(entry_id: str, path: str, reason: str) -> Record:
    """Return what is shown for a file that can't be read."""
    failure = {
        "kind": "unreadable",
        "message": f"{path} can't be read: {reason}",
        "next": "dismiss it, and run the job again",
    }
    return Record(entry_id, entry_id.rpartition(".")[0], {}, "failed", 0, "", error=failure)


def outcome(record: Record, run: Run) -> dict[str, Any]:
    """Return what the end of a job's run changes in its record."""
    state = run.status if run.status in ("done", "failed", "cancelled") else "lost"
    if state != "done" and (record.cancelling or record.state == "cancelled"):
        state = "cancelled"
    error = None
    if state != "done" and run.error:
        error = {key: run.error.get(key) for key in ("kind", "message", "next", "signal")}
    return {
        "state": state, "run_id": run.run_id or record.run_id, "error": error, "cancelling": False,
        "started": record.started or run.started or None, "ended": run.ended or recorder.now(),
    }  # fmt: skip
