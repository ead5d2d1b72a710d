"""A worker on a Ray cluster: what runs inside the task, and the handle that its submitter watches.

The task starts the worker as a process of its own on the machine that Ray chose; its draft lies where all machines see it. A
task whose machine is lost is handed in again, and finds the steps that were finished.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.launch import _bound, _order, _ray_cluster, _worker

SECONDS_BETWEEN_LOOKS = 0.05
SECONDS_TO_STOP = 10.0  # for a worker that was asked to; then it is killed


@dataclass(frozen=True)
class Sent:
    """What a task is told."""

    draft: str
    store: str
    threads: int
    folder: str  # working directory of the submitter


def carry_through(sent: Sent) -> int | list[str]:
    """Carry out the job of a draft on this machine and return its exit code; the paths that it doesn't see, where it can't.

    `ray.cancel` arrives here as KeyboardInterrupt, whenever: the worker is then asked to stop.
    """
    _ray_cluster.hear_cancel()
    if missing := _ray_cluster.unseen(sent.draft, sent.store):
        return missing
    if os.path.isdir(sent.folder):
        os.chdir(sent.folder)
    wanted = _order.order(Path(sent.draft), Path(sent.store), sent.threads)
    # Workers as a rule outlive their submitter. Here they must not: Ray may have given this place away.
    process = _order.spawn(replace(wanted, environment={**wanted.environment, **_bound.to_this()}))
    kill_at: float | None = None  # None until it was asked to stop
    while True:
        try:
            if (code := process.poll()) is not None:
                return code
            if kill_at and time.monotonic() > kill_at:
                _worker.signal_group(process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            time.sleep(SECONDS_BETWEEN_LOOKS)
        except KeyboardInterrupt:
            kill_at = kill_at or time.monotonic() + SECONDS_TO_STOP
            _worker.signal_group(process.pid, signal.SIGTERM)


class OnRay(_worker.Worker):
    """Hands a draft to the cluster, and again when its machine is lost."""

    def __init__(self, sent: Sent, wanted: dict[str, float], most_losses: int) -> None:
        super().__init__(Path(sent.draft))
        self._sent, self._wanted, self._most_losses = sent, wanted, most_losses
        self._losses, self._code = 0, -1
        self._cancelled = False
        _order.note_start(self._order(), "ray", _said(wanted))
        self._task = self._handed_in()

    @property
    def pid(self) -> int | None:
        return None  # it is another machine's

    def poll(self) -> int | None:
        import ray

        if self._code >= 0:
            return self._code
        if not ray.wait([self._task], timeout=0)[0]:
            self._be_waited_for()
            return None
        try:
            said = ray.get(self._task)
        except ray.exceptions.TaskCancelledError:
            return self._end(-signal.SIGTERM)
        except _ray_cluster.losses() as error:
            return self._lost(_ray_cluster.first_line(error))
        except ray.exceptions.RayError as error:
            told = _ray_cluster.first_line(error)
            return self._end(
                None, f"the cluster can't start it, every machine needs this version of the workbench: {told}"
            )
        return self._end(None, "; ".join(said)) if isinstance(said, list) else self._end(said)

    def cancel(self, *, grace: float = SECONDS_TO_STOP) -> None:
        super().cancel(grace=grace)

    def send(self, number: int) -> None:
        """Ask the worker to stop; SIGKILL ends Ray's process there, and it with it."""
        import ray

        self._cancelled = True
        if self._code < 0:
            ray.cancel(self._task, force=number == getattr(signal, "SIGKILL", signal.SIGTERM))

    def _order(self) -> _order.Order:
        return _order.order(self.draft, Path(self._sent.store), self._sent.threads)

    def _handed_in(self) -> Any:
        return _ray_cluster.remote(carry_through, self._wanted, name=self.draft.name).remote(self._sent)

    def _be_waited_for(self) -> None:
        """Let whoever looks see that a draft without an owner has somebody who waits for it."""
        with contextlib.suppress(FileNotFoundError):  # published
            os.utime(self.draft)

    def _lost(self, why: str) -> int | None:
        """Hand it in again, unless it was finished, or nobody wants it any more."""
        if self._cancelled or not self.draft.is_dir():
            return self._end(-getattr(signal, "SIGKILL", signal.SIGTERM))
        self._losses += 1
        if self._losses > self._most_losses:
            return self._end(None, f"its machine was lost {self._losses} times: {why}")
        (self.draft / "owner.json").unlink(missing_ok=True)  # of the process that is gone
        _order.note_start(self._order(), "ray", f"again, its machine was lost: {why}")
        self._task = self._handed_in()
        return None

    def _end(self, code: int | None, why: str = "") -> int:
        _order.note_death(self.draft, code, why=why)
        self._code = int(self.draft.is_dir()) if code is None or code < 0 else code
        return self._code


def _said(wanted: dict[str, float]) -> str:
    return ", ".join(f"{name}={amount:g}" for name, amount in wanted.items())
