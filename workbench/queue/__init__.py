"""Jobs that wait and run outside this process: a closed tab, a restarted kernel or server loses nothing.

Each store has a queue, the folder `.queue`, and while there is work one keeper, a process of its own that starts workers and
writes down how they end. Everybody reads the folder; a process that comes later calls `attach` and sees what there is.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence

from workbench import bench, recorder
from workbench.errors import InvalidInput
from workbench.job import Job
from workbench.launch import _worker
from workbench.queue import _keeper_place
from workbench.queue._adopted import owner_of
from workbench.queue._asking import Entering
from workbench.queue._entry import Entry, in_order, shown
from workbench.queue._folder import Folder
from workbench.queue._record import Record
from workbench.store import DRAFT, Store

__all__ = ["Entry", "attach", "cancel", "clear_finished", "dismiss", "entries", "move", "put", "warm"]


def put(jobs: Job | Sequence[Job], store: Store, *, again: bool = False, workers: int = 1) -> list[Entry]:
    """Enter jobs and see that somebody works on them; returns their entries at once, one per job.

    A job that is done gives an entry that is finished, unless `again`; one that waits or runs already gives the entry that it
    has. `workers` jobs run side by side. Raises InvalidInput with every reason against every job, and enters none then.
    """
    wanted = [jobs] if isinstance(jobs, Job) else list(jobs)
    _check(wanted)
    folder = Folder(store)
    folder.make()
    with folder.changes():
        entering = Entering(folder, folder.read(), workers)
        entered = [entering.enter(job, again=again).entry_id for job in wanted]
        unfinished = any(not record.finished for record in entering.records.values())
    if unfinished:
        _keeper_place.ensure(folder)
    found = {entry.entry_id: entry for entry in shown(folder, lives=True)}
    return [found[entry_id] for entry_id in entered]


def entries(store: Store) -> tuple[Entry, ...]:
    """Return every entry that was not dismissed, in order: read from the disk, cheap enough to be asked all the time."""
    folder = Folder(store)
    return shown(folder, lives=_keeper_place.lives(folder))


def attach(store: Store) -> tuple[Entry, ...]:
    """Return the entries, and see that somebody works on those that are not finished: what a restarted kernel calls."""
    folder = Folder(store)
    if any(not record.finished for record in folder.read().values()):
        _keeper_place.ensure(folder)
    return entries(store)


def warm(store: Store) -> None:
    """Have a keeper and a warmed parent ready for the next job; cheap enough for every touch of a form."""
    folder = Folder(store)
    folder.make()
    folder.ask_to_warm()
    _keeper_place.ensure(folder)


def cancel(store: Store, entry_id: str) -> None:
    """Take out an entry that waits, or stop its worker within two seconds; returns at once, also without a keeper.

    What only this entry needed for its comparison is cancelled with it. One that is finished stays as it is.
    """
    folder = Folder(store)
    folder.find(entry_id)
    with folder.changes():
        records = folder.read()
        running = [each for each in _with_what_it_needs(entry_id, records) if not _cancel(each, folder)]
    for record in running:
        if record.run_id and (owner := owner_of(store.root / f"{DRAFT}{record.run_id}")):
            _worker.signal_group(owner[0], signal.SIGTERM)
    if running:
        _keeper_place.ensure(folder)  # kills what doesn't heed, and writes down the end


def move(store: Store, entry_id: str, up: bool) -> None:
    """Exchange an entry that waits with the one before (`up`) or after it; at the end of the row nothing moves."""
    folder = Folder(store)
    folder.find(entry_id)
    with folder.changes():
        row = [each for each in in_order(list(folder.read().values())) if each.state == "waiting" and not each.for_job]
        place = next((place for place, each in enumerate(row) if each.entry_id == entry_id), None)
        if place is None:
            raise InvalidInput([f"{entry_id} doesn't wait, or goes where the job goes that needs it"])
        other = place - 1 if up else place + 1
        if 0 <= other < len(row):
            folder.write(row[place], order=row[other].order)
            folder.write(row[other], order=row[place].order)


def dismiss(store: Store, entry_id: str) -> None:
    """Take a finished entry off the list; its run stays. Raises InvalidInput while it is not finished."""
    folder = Folder(store)
    if not folder.find(entry_id).finished:
        raise InvalidInput([f"{entry_id} is not finished"], next_move="cancel it first")
    with folder.changes():
        folder.remove([entry_id])


def clear_finished(store: Store) -> None:
    """Take every finished entry off the list; the runs stay."""
    folder = Folder(store)
    if finished := [record.entry_id for record in folder.read().values() if record.finished]:
        with folder.changes():
            folder.remove(finished)


def _check(jobs: Sequence[Job]) -> None:
    """Raise InvalidInput with what can be known now; a card that needs a worker is looked at by the keeper."""
    problems: list[str] = []
    for job in jobs:
        try:
            if not job.model.card_needs_module:
                bench.check(job)
            elif reasons := job.why_not():
                raise InvalidInput(reasons)
        except InvalidInput as error:
            place = f"{job.job_id}: " if len(jobs) > 1 else ""
            problems += [f"{place}{problem}" for problem in error.problems]
    if problems:
        raise InvalidInput(problems)


def _with_what_it_needs(entry_id: str, records: dict[str, Record]) -> list[Record]:
    """Return an entry and the unfinished relatives that were added for comparisons and that no other entry needs."""
    wanted = records[entry_id]
    others = [each for each in records.values() if not each.finished and each.entry_id != entry_id]
    needed = {relative for each in others if not each.for_job for relative in each.relatives}
    relatives = [
        each for each in others if each.for_job and each.job_id in wanted.relatives and each.job_id not in needed
    ]
    return [wanted, *relatives] if not wanted.finished else []


def _cancel(record: Record, folder: Folder) -> bool:
    """Note that an entry is cancelled; says whether that was all, because nothing ran yet."""
    if record.state == "waiting":
        folder.write(record, state="cancelled", ended=recorder.now())
        return True
    folder.write(record, cancelling=True)
    return False
