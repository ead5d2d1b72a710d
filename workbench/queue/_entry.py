"""An entry of the queue as people and panels see it: its record, and what its run says on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from workbench.errors import WorkbenchError
from workbench.queue._folder import Folder
from workbench.queue._progress import Said, last_said
from workbench.queue._record import Record, State, outcome
from workbench.queue._work import Needs, held_back
from workbench.store import DRAFT, Store

NOBODY = "nobody works on this queue: its keeper was killed, `workbench queue` starts another"
NOT_YET = Said(text="its worker is being made ready")


@dataclass(frozen=True)
class Entry:
    """One job in the queue. Moments are UTC in ISO 8601; numbers of progress are those of the part that runs now."""

    entry_id: str
    job_id: str
    job: Mapping[str, Any]
    state: State
    for_job: str = ""  # the job that needs this one for its comparison; empty when it was asked for itself
    run_id: str | None = None  # None until it has begun
    part: str = ""  # as in steps[0].train
    done: int = 0
    total: int = 0  # 0 when the part doesn't count
    unit: str = ""
    eta_seconds: float | None = None  # of the part
    values: Mapping[str, float] = field(default_factory=dict)  # as in {"loss": 0.21}
    text: str = ""  # what its worker said last
    error: Mapping[str, Any] | None = None  # kind, message, next, signal; None unless it failed, was lost or cancelled
    added: str = ""
    started: str | None = None
    ended: str | None = None
    why_waiting: str = ""  # in words, while it waits
    cancelling: bool = False  # asked to stop, and still running
    log: str = ""  # path of what its worker printed; empty before it has begun

    @property
    def finished(self) -> bool:
        return self.state not in ("waiting", "running")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def shown(folder: Folder, *, lives: bool) -> tuple[Entry, ...]:
    """Return the entries of a queue in their order, each after those that it needs; `lives`: somebody works on it."""
    records = [_as_it_is(record, folder.store, lives=lives) for record in in_order(list(folder.read().values()))]
    why = _why_waiting(records) if lives else {}
    return tuple(_entry(record, folder.store, why.get(record.entry_id, NOBODY)) for record in records)


def in_order(records: Sequence[Record]) -> list[Record]:
    """Return records with each relative directly before the entry that it was added for."""
    asked = {record.job_id: record.order for record in records if not record.for_job}

    def place(record: Record) -> tuple[int, bool, int]:
        return asked.get(record.for_job, record.order), record.for_job not in asked, record.order

    return sorted(records, key=place)


def _as_it_is(record: Record, store: Store, *, lives: bool) -> Record:
    """Return a running entry as its run is by now, so that it is right also when no keeper has noted the end."""
    if record.state != "running" or record.run_id is None:
        return record
    try:
        run = store.draft(record.run_id) or store.get(record.run_id)
    except WorkbenchError:  # it was removed: the keeper will say so
        return record
    if run.status in ("running", "planned") or (run.status == "lost" and lives):
        return record  # a living keeper learns why its worker died, a moment after we see that it has
    return replace(record, **outcome(record, run))


def _entry(record: Record, store: Store, why: str) -> Entry:
    folder = store.root / f"{DRAFT if record.state == 'running' else ''}{record.run_id}" if record.run_id else None
    if folder and record.state in ("cancelled", "lost", "failed") and not folder.is_dir():
        folder = folder.with_name(f"{DRAFT}{record.run_id}")
    said = (last_said(folder) or NOT_YET) if folder and record.state == "running" else Said()
    return Entry(
        record.entry_id, record.job_id, record.job, record.state, record.for_job, record.run_id, **vars(said),
        error=record.error, added=record.added, started=record.started, ended=record.ended, why_waiting=why if record.state == "waiting" else "",
        cancelling=record.cancelling, log=str(folder / "log.txt") if folder else "",
    )  # fmt: skip


def _why_waiting(records: Sequence[Record]) -> dict[str, str]:
    """Return what holds each waiting entry back, as its keeper sees it, by entry id."""
    unfinished = [each for each in records if not each.finished]
    unended = {each.job_id for each in unfinished}
    made = {state for each in records if each.state == "done" for state in each.states}
    in_making = {state: each.job_id for each in unfinished if each.state == "running" for state in {*each.own} - made}
    why = {}
    for num_before, each in enumerate(unfinished):
        needs = Needs(each.relatives, frozenset(each.states), frozenset(each.own))
        if held := held_back(needs, unended=unended, in_making=in_making):
            kind, job_id = held
            why[each.entry_id] = (
                f"waits for {job_id} (as trained)" if kind == "relative" else f"shares its training with {job_id}"
            )
        else:
            why[each.entry_id] = f"{num_before} before it" if num_before else "begins in a moment"
    return why
