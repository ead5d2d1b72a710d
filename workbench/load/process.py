"""A load test as a process of its own: what else its starter does, such as drawing, is then not told as the server's delay."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from workbench.errors import RunFailed


class LoadTest:
    """One that runs; `stop` ends it early."""

    def __init__(self, target: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """`target` and `settings` are the fields of Target and Settings; a token goes through a pipe, where no process list shows it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workbench.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps({"target": target, "settings": settings}) + b"\n")
        self._process.stdin.close()

    def follow(self, say: Callable[[dict[str, Any]], None]) -> dict[str, Any] | None:
        """Tell each step as it is done; returns the whole record, None when it was stopped. Raises RunFailed with its words."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = orjson.loads(line)
            if "step" in told:
                say(told["step"])
            elif "error" in told:
                self._process.wait()
                raise RunFailed(told["error"])
            else:
                self._process.wait()
                return dict(told["done"])
        if self._process.wait() >= 0:
            raise RunFailed(f"the load test ended with exit code {self._process.returncode}")
        return None

    def stop(self) -> None:
        self._process.terminate()
