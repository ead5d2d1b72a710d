"""Starts the server as a process of its own, and stops it: for notebooks, panels, tests and benchmarks."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from workbench.errors import RunFailed

READY_SECONDS = 120.0
STOP_SECONDS = 30.0


@dataclass(frozen=True)
class Serving:
    """A server that answers; `stop` ends it."""

    process: subprocess.Popen[bytes]
    url: str  # of REST
    grpc: str  # host:port
    token: str  # "" = keys come from a file
    models: tuple[str, ...]

    def stop(self, seconds: float = STOP_SECONDS) -> int:
        """Ask it to finish what is under way and end; returns its exit code. One that takes longer is killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    @property
    def headers(self) -> dict[str, str]:
        """What both ports want to see: `tritonclient` takes them as `headers=`."""
        return {"authorization": f"Bearer {self.token}"} if self.token else {}


def start(words: Sequence[str | Path], *, environment: dict[str, str] | None = None) -> Serving:
    """Run `workbench serve WORDS… --json` and return when it answers; raises RunFailed with what it said instead.

    Ports are free ones unless `words` name others. It is told to end when this process does: a notebook that is closed halfway
    leaves no server behind.
    """
    command = [sys.executable, "-m", "workbench.cli", "serve", "--http", "0", "--grpc", "0", "--json"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, *map(str, words)], stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        atexit.register(process.terminate)
        record = _first_line(process, log)
    return Serving(process, record["url"], record["grpc"], record["token"], tuple(record["models"]))


@contextlib.contextmanager
def serving(words: Sequence[str | Path], *, environment: dict[str, str] | None = None) -> Iterator[Serving]:
    """Give a server that ends with the block."""
    server = start(words, environment=environment)
    try:
        yield server
    finally:
        server.stop()


def _first_line(process: subprocess.Popen[bytes], log: IO[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    too_long = threading.Timer(READY_SECONDS, process.kill)
    too_long.start()
    try:
        line = process.stdout.readline()
    finally:
        too_long.cancel()
    if line:
        record: dict[str, Any] = json.loads(line)
        return record
    process.wait()
    log.seek(0)
    said = log.read().decode(errors="replace").strip()
    raise RunFailed(f"the server did not start (exit code {process.returncode}): {said[-2000:]}")
