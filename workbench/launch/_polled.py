"""A worker that another system runs, on hosts of its own choosing: asked for from time to time by that system's command."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from workbench.errors import RunFailed
from workbench.launch import _order, _worker

SECONDS_BETWEEN_QUESTIONS = 5.0


def called(words: Sequence[str], *, given: str = "") -> str:
    """Run a command of that system and return what it says; raises RunFailed with its words."""
    ended = subprocess.run(list(words), input=given, capture_output=True, text=True, check=False)
    if ended.returncode:
        told = (ended.stderr.strip() or ended.stdout.strip() or f"exit code {ended.returncode}").splitlines()[-1]
        raise RunFailed(f"{words[0]} refused: {told}")
    return ended.stdout


def absent(command: str, launcher: str) -> list[str]:
    """Return why a launcher can't be used here; empty when its command is there."""
    if shutil.which(command):
        return []
    return [f"launcher {launcher}: {command} isn't on this machine; --dry-run shows what would be submitted"]


class Polled(_worker.Worker):
    """`ask` are the words that ask that system for the job's state, `end` those that take the job from it."""

    def __init__(self, draft: Path, ask: Sequence[str], end: Sequence[str], gone: Sequence[str]) -> None:
        """`gone` are words of which the answer holds one when the job is over, if it isn't empty then."""
        super().__init__(draft)
        self._ask, self._end, self._gone = tuple(ask), tuple(end), tuple(gone)
        self._asked_at, self._code = 0.0, -1

    @property
    def pid(self) -> int | None:
        return None

    def poll(self) -> int | None:
        if not self.draft.is_dir():
            return 0  # published
        if self._code >= 0:
            return self._code
        if time.monotonic() - self._asked_at < SECONDS_BETWEEN_QUESTIONS:
            return None
        self._asked_at = time.monotonic()
        os.utime(self.draft)  # whoever looks sees that somebody waits for it, also before a host has taken it
        answer = called(self._ask)
        if answer.strip() and not any(word in answer for word in self._gone):
            return None
        if self.draft.is_dir():
            self._code = 1
            _order.note_death(self.draft, None)
        return 1 if self.draft.is_dir() else 0

    def send(self, number: int) -> None:
        """Take the job from that system, which sends TERM first, whatever the signal."""
        called(self._end)
        self._asked_at = 0.0
