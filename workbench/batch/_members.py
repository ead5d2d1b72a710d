"""Which processes belong to a row: its own, its kernel, and whatever the notebook started; how to end them all.

A process is known by its ancestors, and by a variable that it inherits, so that one whose parent is gone is found too.
Workers that the workbench starts outlive their notebook by design: they lead sessions of their own and don't carry the mark.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from workbench.launch._order import BATCH_MARK

GRACE_SECONDS = 10.0
SECONDS_BETWEEN_LOOKS = 0.05


class Snapshot:
    """The processes of this machine at one moment; cheap enough to be taken twice a second."""

    def __init__(self) -> None:
        self.processes = {process.pid: process for process in psutil.process_iter()}
        self.children: dict[int, list[int]] = {}
        for pid, process in self.processes.items():
            try:
                self.children.setdefault(process.ppid(), []).append(pid)
            except psutil.Error:
                continue

    def below(self, roots: Iterable[int], mark: str) -> list[psutil.Process]:
        """Return the living processes of a row: `roots` and their descendants, without what left it on purpose."""
        found: dict[int, psutil.Process] = {}
        waiting = [pid for pid in roots if pid in self.processes]
        own = set(waiting)
        while waiting:
            pid = waiting.pop()
            if pid not in found and (pid in own or not _has_left(pid, mark)):
                found[pid] = self.processes[pid]
                waiting += self.children.get(pid, [])
        return list(found.values())

    def marked(self, mark: str) -> list[psutil.Process]:
        """Return the processes that inherited a mark which begins so."""
        return [process for pid, process in self.processes.items() if _mark(pid).startswith(mark)]


def resident_bytes(processes: Iterable[psutil.Process]) -> int:
    """Return the sum of resident set sizes, in which shared pages count once for each process."""
    return sum(_resident(process) for process in processes)


def proportional_bytes(processes: Iterable[psutil.Process]) -> int:
    """Return the sum of proportional set sizes, in which shared pages count once; takes milliseconds for each process."""
    return sum(_proportional(process) for process in processes)


def end(processes: Iterable[psutil.Process], *, grace: float = GRACE_SECONDS) -> None:
    """Ask processes to end, and kill those that don't within `grace` seconds (0 = at once)."""
    alive = list(processes)
    for number in (signal.SIGTERM, signal.SIGKILL) if grace else (signal.SIGKILL,):
        send(alive, number)
        send(alive, signal.SIGCONT)  # one that is paused would not heed
        until = time.monotonic() + (grace if number == signal.SIGTERM else GRACE_SECONDS)
        while (alive := [process for process in alive if _lives(process)]) and time.monotonic() < until:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        if not alive:
            return


def send(processes: Iterable[psutil.Process], number: int) -> None:
    """Send a signal to processes; one that is gone already is no error."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def sweep(mark: str) -> int:
    """Kill what a mark names and is still there; returns how many processes that were."""
    left = [process for process in Snapshot().marked(mark) if process.pid != os.getpid()]
    end(left, grace=0)
    return len(left)


def _has_left(pid: int, mark: str) -> bool:
    try:
        return os.getsid(pid) == pid and _mark(pid) != mark
    except (ProcessLookupError, PermissionError):
        return True


def _mark(pid: int) -> str:
    """Return the mark that a process was started with; empty when it has none, or isn't ours."""
    name = f"{BATCH_MARK}=".encode()
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if os.path.isdir("/proc/self") else []
    except OSError:
        return ""
    return next((each[len(name) :].decode() for each in variables if each.startswith(name)), "")


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _proportional(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(full, "pss", 0) or full.uss)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
