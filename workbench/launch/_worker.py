"""A started worker, as its launcher and everybody who watches it see it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from workbench.launch import _order

SECONDS_BETWEEN_LOOKS = 0.02


class Worker:
    """Poll it, wait for it, cancel it. It leads its own process group and outlives whoever started it."""

    def __init__(self, draft: Path) -> None:
        self.draft = draft

    @property
    def pid(self) -> int | None:
        """The process; None while a parent that is still warming up has not made it."""
        raise NotImplementedError

    def poll(self) -> int | None:
        """Return the exit code, None while it runs; a death without a run is written into the draft."""
        raise NotImplementedError

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises subprocess.TimeoutExpired after `timeout` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if until is not None and time.monotonic() >= until:
                raise subprocess.TimeoutExpired(str(self.draft), timeout or 0.0)
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return code

    def wait_until_made(self) -> None:
        """Wait until the process is there, or has ended."""
        while self.pid is None and self.poll() is None:
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def cancel(self, *, grace: float = 2.0) -> None:
        """Ask the worker's group to stop, and kill it when it hasn't after `grace` seconds."""
        for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
            if self.poll() is not None:
                return
            self.send(number)
            try:
                self.wait(grace)
            except subprocess.TimeoutExpired:
                continue

    def send(self, number: int) -> None:
        """Send a signal to the worker and all that it started."""
        if self.pid is not None:
            signal_group(self.pid, number)


class Child(Worker):
    """A worker that is our own child process."""

    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.process.pid

    def poll(self) -> int | None:
        code = self.process.poll()
        if code is not None:
            _order.note_death(self.draft, code)
        return code


class Spawned(Child):
    """A fresh interpreter."""

    def __init__(self, wanted: _order.Order, why: str) -> None:
        super().__init__(Path(wanted.draft))
        _order.note_start(wanted, "spawn", why)
        self.process = _order.spawn(wanted)


def signal_group(pid: int, number: int) -> None:
    """Signal a process group; one that is gone already is no error. Without groups (Windows): the process."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        return


def signal_tree(pid: int, number: int) -> None:
    """Signal a process group and whatever its leader has started, also what leads a session of its own."""
    import psutil

    below: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        below = psutil.Process(pid).children(recursive=True)
    signal_group(pid, number)
    for process in below:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def born(pid: int) -> float:
    """Return when a process was started, in seconds since the epoch; 0 when it is gone already."""
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return 0.0


def lives(pid: int, since: float) -> bool:
    """Say whether the process that was born then still runs; the number alone may have gone to another one."""
    import psutil

    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - since) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
