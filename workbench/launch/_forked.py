"""A worker that the warmed parent forks, seen from the submitter."""

from __future__ import annotations

import contextlib
import signal
import socket
from pathlib import Path
from typing import Any

import orjson

from workbench.errors import WorkbenchError
from workbench.launch import _nursery_place, _order, _worker

ATTEMPTS = 2  # a parent may leave, or be killed, between finding it and forking


class Forked(_worker.Worker):
    """Ordered at once, made when the parent is warm. When no parent can make it, a new interpreter does instead.

    A parent that dies afterwards takes nothing along: the worker is then watched by its number.
    """

    def __init__(self, wanted: _order.Order) -> None:
        super().__init__(Path(wanted.draft))
        self._wanted = wanted
        self._attempts = 0
        self._link: socket.socket | None = None
        self._unread = b""
        self._pid: int | None = None
        self._born = 0.0
        self._code: int | None = None
        self._cancelled = False
        self._instead: _worker.Spawned | None = None
        self._ask()

    @property
    def pid(self) -> int | None:
        return self._instead.pid if self._instead else self._pid

    def poll(self) -> int | None:
        if self._code is None and not self._instead:
            self._listen()
        if self._instead:
            return self._instead.poll()
        if self._code is None and not self._link and not _worker.lives(self._pid or 0, self._born):
            self._end(None)  # its parent is gone, so nobody knows its exit code
        return self._code

    def cancel(self, *, grace: float = 2.0) -> None:
        super().cancel(grace=grace)
        if self.pid is None and self._code is None:
            self._end(-signal.SIGTERM)  # was never made, and the parent knows that it shall not be

    def send(self, number: int) -> None:
        self._cancelled = True
        if self.pid is None and self._link:
            with contextlib.suppress(BrokenPipeError):  # then there is nothing to cancel
                self._link.send(orjson.dumps({"do": "cancel"}) + b"\n")
        else:
            super().send(number)

    def _ask(self) -> None:
        """Order the worker; raises nothing: what stands against it becomes the reason for a new interpreter."""
        self._attempts += 1
        try:
            self._link = _nursery_place.obtain()
            self._link.sendall(orjson.dumps({"do": "start", "order": self._wanted.to_json()}) + b"\n")
            self._link.setblocking(False)
        except (OSError, WorkbenchError) as error:
            self._spawn(str(error))

    def _spawn(self, why: str) -> None:
        self._hang_up()
        self._instead = _worker.Spawned(self._wanted, why)

    def _hang_up(self) -> None:
        if self._link:
            self._link.close()
        self._link = None

    def _listen(self) -> None:
        """Read what the parent has told; the end of the connection without a pid means that nothing runs."""
        while self._link:
            try:
                received = self._link.recv(1 << 16)
            except BlockingIOError:
                return
            except ConnectionResetError:
                received = b""
            *lines, self._unread = (self._unread + received).split(b"\n")
            for line in lines:
                self._heed(orjson.loads(line))
            if not received:
                self._hang_up()
                self._go_on_alone()

    def _go_on_alone(self) -> None:
        """See to a worker whose parent is gone."""
        if self._pid is not None:
            return
        if self._cancelled:
            self._end(-signal.SIGTERM)
        elif self._attempts < ATTEMPTS:
            self._ask()
        else:
            self._spawn("the warmed parent ended before it forked")

    def _heed(self, message: dict[str, Any]) -> None:
        if "refused" in message:
            self._spawn(message["refused"])
        elif "pid" in message:
            self._pid, self._born = message["pid"], message["born"]
        elif "ended" in message:
            self._end(message["ended"])

    def _end(self, code: int | None) -> None:
        """Take note of the end; without a code, a draft that became a run counts as success."""
        self._hang_up()
        _order.note_death(self.draft, code)
        self._code = code if code is not None else int(self.draft.is_dir())
