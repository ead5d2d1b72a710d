"""Asks one of the worker's verbs in a new process, and hands back its JSON answer.

A question whose function is a generator comes in two parts: the process prepares itself (imports, opens, warms up) until
the generator yields, says that it is ready, and goes on only when told. So preparing needs no quiet machine.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import orjson

from workbench.errors import RunFailed, WorkbenchError
from workbench.launch import _bound
from workbench.launch._order import environment

READY, GO = "ready", "go"


def call(verb: str, question: dict[str, Any], *, threads: int = 1) -> Any:
    """Ask, wait, and return the answer; raises with the process's own words on failure."""
    with Fresh(verb, question, threads=threads) as process:
        return process.answer()


class Fresh:
    """`python -m workbench.bench VERB in out` under way; killed when left early."""

    def __init__(self, verb: str, question: dict[str, Any], *, threads: int = 1) -> None:
        self._verb = verb
        self._folder = tempfile.TemporaryDirectory(prefix="workbench-")
        asked, self._answered, self._errors = (Path(self._folder.name, name) for name in ("in", "out", "errors"))
        asked.write_bytes(orjson.dumps(question, option=orjson.OPT_SERIALIZE_NUMPY))
        command = [sys.executable, "-m", "workbench.bench", verb, str(asked), str(self._answered)]
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                env={**environment(threads), **_bound.to_this()},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def __enter__(self) -> Fresh:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def wait_until_ready(self) -> None:
        """Return when the process has prepared itself; a process that ended meanwhile is `answer`'s to explain."""
        assert self._process.stdout
        for line in self._process.stdout:
            if line.strip() == READY:
                return

    def answer(self) -> Any:
        """Let the process go on and return its answer; raises WorkbenchError with its words, or RunFailed."""
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate(f"{GO}\n")
        code = self._process.wait()
        if code or not self._answered.exists():
            last = (self._errors.read_text(errors="replace").strip().splitlines() or [f"exit code {code}"])[-1]
            raise RunFailed(f"a fresh process for {self._verb} failed: {last}")
        answer = orjson.loads(self._answered.read_bytes())
        if "error" in answer:
            raise WorkbenchError(answer["error"], next_move=answer.get("next", ""))
        return answer["value"]
