"""Long work as a process of its own that tells how far it is: its starter draws on, can end it, and has no torch loaded.

One line of JSON in says what to do; lines out are {"progress": …}, then {"done": …}, or {"problems": […], "next": …}. A process
whose starter is gone ends with its next line.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import orjson

from workbench.errors import Cancelled, InvalidInput, RunFailed, WorkbenchError

Say = Callable[[Any], None]
CANCELLED = "it was cancelled"


class Telling:
    """One process that works; `stop` ends it early."""

    def __init__(self, module: str, request: Any) -> None:
        """Run `python -m module`, whose `main` is `tell`, with a request that JSON can hold."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with its owner
        self._process = subprocess.Popen(
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
        )
        self._stopped = False
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps(request) + b"\n")
        self._process.stdin.close()

    def follow(self, say: Say = lambda progress: None) -> Any:
        """Hand on what it tells and return its value; raises InvalidInput or RunFailed with its words, Cancelled once stopped."""
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                told = orjson.loads(line)
                if "progress" in told:
                    say(told["progress"])
                    continue
                if "done" in told:
                    return told["done"]
                kind = InvalidInput if told["exit_code"] == InvalidInput.exit_code else RunFailed
                words: Any = told["problems"] if kind is InvalidInput else "; ".join(told["problems"])
                raise kind(words, next_move=told["next"])
            self._process.wait()
            if self._stopped:
                raise Cancelled(CANCELLED)
            raise RunFailed(f"the process ended with exit code {self._process.returncode}: {self._last_words()}")
        finally:
            self.stop()

    def stop(self) -> None:
        """End it, if it still works."""
        if self._process.poll() is None:
            self._stopped = True
            self._process.terminate()
        self._process.wait()

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "without a word"


def tell(work: Callable[[Any, Say], Any]) -> int:
    """Read a request, carry out `work(request, say)` and tell its end; returns the exit code."""
    request = orjson.loads(sys.stdin.buffer.readline())
    try:
        value = work(request, lambda progress: _write({"progress": progress}))
    except WorkbenchError as error:
        problems = list(error.problems) if isinstance(error, InvalidInput) else [error.message]
        _write({"problems": problems, "next": error.next_move, "exit_code": error.exit_code})
        return error.exit_code
    _write({"done": value})
    return 0


def _write(record: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
    sys.stdout.flush()
