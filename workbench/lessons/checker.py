"""Checks answers beside the notebook's kernel, safe against endless loops: each in a fork of a process that is warm already.

    with Checker() as checker: checker.check("01.1", given)

`python -m workbench.lessons.checker` is that process: it loads torch once, with one thread, when the first exercise needs it, and
reads a line of JSON for each check. Where nothing can be forked safely (macOS, Windows) each check is a process of its own, some seconds slower.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from workbench.errors import RunFailed
from workbench.lessons import answer, catalog, judging
from workbench.lessons.exercise import Exercise, Finding

CPU_SECONDS = 4  # a check takes at most 2; what needs more runs for ever
WALL_SECONDS = 60.0  # for an answer that sleeps, also on a busy machine
MEMORY_BYTES = 2 * 2**30  # beyond what the warm process has
CAN_FORK = sys.platform == "linux"
CPU_SIGNAL = getattr(signal, "SIGXCPU", signal.SIGTERM)  # Windows has no such limit


class Checker:
    """Starts its process with the first check and ends it with `close`, or with this process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None  # None = not started yet
        self._lock = threading.Lock()

    def __enter__(self) -> Checker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def warm(self, exercises: Iterable[Exercise] = ()) -> None:
        """Start the process, so that the first check of one of these doesn't wait for torch."""
        words = ["--torch"] if any(map(needs_torch, exercises)) else []
        if self._process is None or self._process.poll() is not None:
            one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "workbench.lessons.checker", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                text=True, encoding="utf-8", env=os.environ | one_thread,
                start_new_session=True,  # interrupting the kernel is not meant for it
            )  # fmt: skip

    def check(self, name: str, given: Any) -> Finding:
        """Return what is found of an answer: a function or a plain value, as the notebook's cell defines it."""
        exercise = catalog.exercise(name)
        return self.check_text(exercise, answer.text_of(exercise, given))

    def check_text(self, exercise: Exercise, text: str) -> Finding:
        """Return what is found of an answer's text; a seeded bug that nobody touched is shown failing."""
        is_untouched = answer.is_untouched(exercise, text)
        if is_untouched and not exercise.is_bug:
            return Finding("not_attempted")
        found = self._judged(exercise, text)
        return replace(found, verdict="not_attempted", misconception="") if is_untouched else found

    def _judged(self, exercise: Exercise, text: str) -> Finding:
        """Have the warm process judge a text."""
        with self._lock:
            self.warm()
            process = self._process
            assert process and process.stdin and process.stdout
            process.stdin.write(json.dumps({"id": exercise.id, "text": text}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        if not line:
            raise RunFailed("the process that checks answers has ended", next_move="run the cell again")
        return _finding(json.loads(line))

    def close(self) -> None:
        """End the process."""
        if self._process and self._process.stdin:
            self._process.stdin.close()
            self._process.wait(timeout=10)
        self._process = None


def _finding(record: dict[str, Any]) -> Finding:
    record["rows"] = tuple(tuple(row) for row in record["rows"])
    record["bars"] = tuple(tuple(bar) for bar in record["bars"])
    record["grids"] = tuple((name, tuple(map(tuple, rows))) for name, rows in record["grids"])
    return Finding(**record)


def judged_apart(name: str, text: str) -> dict[str, Any]:
    """Judge in a child; one that ends without a word ran for ever, or was ended by what it did."""
    context: Any = multiprocessing.get_context("fork" if CAN_FORK else "spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_judge_in_child, args=(theirs, name, text), daemon=True)
    child.start()
    theirs.close()
    try:
        return dict(ours.recv()) if ours.poll(WALL_SECONDS) else _without_a_word("endless")
    except EOFError:
        child.join(5)
        return _without_a_word("endless" if child.exitcode == -int(CPU_SIGNAL) else "died")
    finally:
        child.kill()
        child.join()


def _judge_in_child(link: Connection, name: str, text: str) -> None:
    _limit()
    link.send(judging.plain(judging.judge(catalog.exercise(name), text)))


def _limit() -> None:
    """Bound what the child may take, where the system can."""
    if not CAN_FORK:
        return
    import resource

    sys.stdin = open(os.devnull)  # noqa: SIM115  an answer that asks for input gets none
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # ours speaks JSON there
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 2))
    pages = int(open("/proc/self/statm").read().split()[0])  # noqa: SIM115
    most = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _without_a_word(why: str) -> dict[str, Any]:
    return dict(judging.plain(Finding("try_again", why, {"seconds": CPU_SECONDS})))


def needs_torch(exercise: Exercise) -> bool:
    """Say whether right answers to an exercise compute with tensors."""
    return "import torch" in exercise.solution


def serve() -> None:
    """Answer one line after the other until there are no more."""
    if CAN_FORK:
        import numpy  # noqa: F401  as every child needs it

        catalog.lessons()
        if "--torch" in sys.argv:
            _load_torch()
    for line in sys.stdin:
        order = json.loads(line)
        if CAN_FORK and (needs_torch(catalog.exercise(order["id"])) or "torch" in order["text"]):
            _load_torch()  # here, and not in every child again
        sys.stdout.write(json.dumps(judged_apart(order["id"], order["text"])) + "\n")
        sys.stdout.flush()


def _load_torch() -> None:
    """Load torch with one thread: a child of a process that had more would hang at its first product."""
    import torch

    torch.set_num_threads(1)


if __name__ == "__main__":
    serve()
