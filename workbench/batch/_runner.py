"""The loop that executes rows: starts them, watches them, keeps their records. One thread, so that it can fork safely."""

from __future__ import annotations

import hashlib
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import orjson
import yaml

from workbench.batch import _members, _row, _running, _warm_kernel
from workbench.batch._compose import compose, is_retryable
from workbench.batch._execution import Execution
from workbench.batch._folder import SECONDS_BETWEEN_SIGNS, Folder
from workbench.batch._identity import Row
from workbench.batch._on_ray import Cluster
from workbench.batch._options import Options
from workbench.batch._quiet import Quiet
from workbench.batch._record import Attempt, Record, write_record
from workbench.launch._ray_cluster import MOST_LOSSES

SECONDS_BETWEEN_LOOKS = 0.02
SECONDS_BETWEEN_MEMORY = 0.5
SECONDS_BEFORE_RETRY = 1.0  # doubled with each attempt

Tell = Callable[["Runner"], None]


@dataclass(frozen=True)
class Wanted:
    """A row that is to be executed."""

    row: Row
    fingerprint: Mapping[str, Any]
    parts: tuple[tuple[str, dict[str, Any]], ...]  # its notebooks in order, and what each is given
    why: str = ""  # why again; empty when it never was
    earlier: tuple[Attempt, ...] = ()
    losses: int = 0  # so many of the earlier attempts lost their machine
    not_before: float = 0.0  # monotonic clock


@dataclass
class Runner:
    """Executes `waiting`; what happens is told to `tell`, at every look."""

    folder: Folder
    notebook: Path
    options: Options
    waiting: list[Wanted]
    tell: Tell = lambda runner: None
    private: Sequence[IO[bytes]] = ()  # what is open here and no row's business
    cluster: Cluster | None = None  # where rows are executed; None = here
    running: dict[str, tuple[Wanted, Execution]] = field(default_factory=dict)
    ended: list[Record] = field(default_factory=list)  # last attempts only, in the order of their end
    stopped: str = ""  # why no further row is started; empty while all is well
    interrupted: bool = False
    total: int = 0
    began: float = field(default_factory=time.monotonic)
    quiet: Quiet = field(init=False)
    _looked_at_memory: float = 0.0
    _signed: float = 0.0
    _warm: bool = False  # kernels are forked too

    def __post_init__(self) -> None:
        if self.cluster:
            self.options = self.cluster.options
        self.quiet = Quiet(self.options.exclusive and not self.cluster)  # rows elsewhere can't be paused from here

    def work_off(self) -> None:
        """Execute everything, or until it is stopped; the folder is held by the caller."""
        self.total = len(self.waiting)
        self._warm_up()
        env_id = self.folder.write_environment()
        before = {number: signal.signal(number, self._interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self.folder.note_all(
                (each.row.row_id, "planned", {"why": each.why} if each.why else {}) for each in self.waiting
            )
            while self.running or (self.waiting and not self.stopped):
                self._heed()
                self._start_what_fits()
                self._look(env_id)
                self.quiet.look({row_id: running for row_id, (_, running) in self.running.items()})
                self.tell(self)
                time.sleep(SECONDS_BETWEEN_LOOKS)
            self.folder.note_all((each.row.row_id, "not_run", {"why": self.stopped}) for each in self.waiting)
        finally:
            for _, running in self.running.values():  # only when something went wrong here: a full disk, as a rule
                running.kill()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _warm_up(self) -> None:
        """Import once what every row needs, where rows are forked from here."""
        if self.waiting and not self.cluster and not _running.why_not_fork(self.options):
            _warm_kernel.load_all()
            self._warm = not _warm_kernel.why_not()

    def _interrupt(self, *_: object) -> None:
        self.interrupted = True

    def _heed(self) -> None:
        """Take in what asks for an end: signals, `stop`, the budget, too many failures."""
        if time.monotonic() - self._signed > SECONDS_BETWEEN_SIGNS:
            self._signed = time.monotonic()
            self.folder.sign_of_life()
        asked = self.folder.asked_to_stop()
        failures = sum(not record.passed for record in self.ended)
        if self.interrupted:
            self._stop("interrupted", at_once=True)
        elif asked:
            self._stop("somebody asked to stop", at_once=asked["at_once"])
        elif self.options.budget_s and time.monotonic() - self.began > self.options.budget_s:
            self._stop(f"the budget of {self.options.budget_s:g} s is used up", at_once=True)
        elif self.options.max_failures is not None and failures > self.options.max_failures:
            self._stop(f"{failures} rows failed, more than {self.options.max_failures}", at_once=False)

    def _stop(self, why: str, *, at_once: bool) -> None:
        self.stopped = self.stopped or why
        for _, running in self.running.values() if at_once else ():
            running.stop(self.stopped)

    def _start_what_fits(self) -> None:
        while len(self.running) < self.options.jobs and not self.stopped and not self.quiet.holder:
            ready = next((each for each in self.waiting if each.not_before <= time.monotonic()), None)
            if ready is None:
                return
            self.waiting.remove(ready)
            self._start(ready)

    def _start(self, wanted: Wanted) -> None:
        row, attempt = wanted.row, len(wanted.earlier) + 1
        draft = self.folder.draft(row.row_id)
        draft.mkdir(exist_ok=True)
        (draft / "in_params.yaml").write_text(yaml.safe_dump(row.given, sort_keys=False, allow_unicode=True))
        kept = hashlib.sha256(orjson.dumps(wanted.fingerprint, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
        cache = self.folder.path / "cache" / kept
        (notebook, given), *then = wanted.parts
        order = _row.Order(
            notebook, str(draft), given, self.options.threads, str(cache), self._warm, self.options.pages, tuple(then)
        )
        self.folder.note(row.row_id, "running", attempt=attempt)
        if self.cluster:
            started: Execution = self.cluster.start(row, order, attempt, self.folder.write_environment)
        else:
            started = _running.start(row, order, self.options, attempt, self.private)
        self.running[row.row_id] = (wanted, started)

    def _look(self, env_id: str) -> None:
        if time.monotonic() - self._looked_at_memory > SECONDS_BETWEEN_MEMORY and self.running and not self.cluster:
            self._looked_at_memory = time.monotonic()
            snapshot = _members.Snapshot()
            for _, running in self.running.values():
                running.look_at_memory(snapshot)
        for row_id, (wanted, running) in list(self.running.items()):
            running.look()
            if running.poll() is not None:
                self._take_in(wanted, running, env_id)
                del self.running[row_id]

    def _take_in(self, wanted: Wanted, running: Execution, env_id: str) -> None:
        """Keep what an execution left: as the row's result, or as an attempt before the next one."""
        record = compose(
            running, running.finish(), notebook=self.notebook, fingerprint=wanted.fingerprint, env_id=env_id,
            earlier=wanted.earlier,
        )  # fmt: skip
        if running.lost:
            again = wanted.losses < MOST_LOSSES
        else:
            tried = len(wanted.earlier) - wanted.losses
            again = tried < self.options.retries and is_retryable(record, self.options.retry_on)
        if again and not self.stopped:
            _put_aside(running.draft, record)
            wait = SECONDS_BEFORE_RETRY * 2 ** len(wanted.earlier)
            later = replace(
                wanted,
                earlier=tuple(record.attempts),
                losses=wanted.losses + bool(running.lost),
                not_before=time.monotonic() + wait,
            )
            self.waiting.insert(0, later)
            why = f"again after {'a lost machine' if running.lost else record.status}"
            self.folder.note(record.row_id, "planned", why=why, attempt=running.attempt + 1)
            return
        for name in (_row.PROGRESS, _row.OUTCOME, _row.KERNEL, "order.json"):
            (running.draft / name).unlink(missing_ok=True)
        write_record(running.draft, record)
        self.folder.publish(record.row_id)
        self.ended.append(record)
        self.folder.note(
            record.row_id,
            record.status,
            duration_s=record.duration_s,
            message=(record.error.message if record.error else record.reason)[:500],
        )


def _put_aside(draft: Path, record: Record) -> None:
    """Move what an attempt left into a folder of its own within the draft."""
    target = draft / "attempts" / str(len(record.attempts))
    target.mkdir(parents=True)
    for path in list(draft.iterdir()):
        if path.name != "attempts":
            path.rename(target / path.name)
    write_record(target, record)
