"""Start a worker as a process of its own on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson

from workbench.params import param
from workbench.part import Launcher


class Process(Launcher):
    """The worker leads its own process group and writes to its draft; nothing of it lives in the caller."""

    title = "Process on this machine"

    threads: int = param(1, help="Threads for computing (measuring has its own)", unit="threads", ge=1, le=1024)

    def submit(self, draft: Path, store: Path) -> Worker:
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads), "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "workbench.bench", "work", str(draft), str(store)]
        with (draft / "log.txt").open("ab") as log:
            started = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        return Worker(started, draft)


class Worker:
    """A started worker, as its launcher sees it."""

    def __init__(self, started: subprocess.Popen[bytes], draft: Path) -> None:
        self.started, self.draft = started, draft

    @property
    def pid(self) -> int:
        return self.started.pid

    def poll(self) -> int | None:
        """Return the exit code, None while it runs; a death without a run is written into the draft."""
        code = self.started.poll()
        if code is not None:
            self._note_death(code)
        return code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises subprocess.TimeoutExpired after `timeout` seconds."""
        self.started.wait(timeout)
        code = self.poll()
        assert code is not None
        return code

    def cancel(self, *, grace: float = 2.0) -> None:
        """Ask the worker's group to stop, and kill it when it hasn't after `grace` seconds."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.poll() is not None:
                return
            self._send(number)
            try:
                self.wait(grace)
            except subprocess.TimeoutExpired:
                continue

    def _send(self, number: int) -> None:
        if hasattr(os, "killpg"):
            os.killpg(self.pid, number)
        else:
            self.started.terminate()

    def _note_death(self, code: int) -> None:
        if self.draft.is_dir() and not (self.draft / "exit.json").exists():
            name = signal.Signals(-code).name if code < 0 else None
            (self.draft / "exit.json").write_bytes(orjson.dumps({"exit_code": code, "signal": name}))
