"""Judges one answer, in a process that may be killed at any time: see `checker.py`."""

from __future__ import annotations

import contextlib
import io
import random
import sys
import time
import traceback
import types
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from workbench.lessons.exercise import Exercise, Finding

SPECIAL = {"NameError": "unknown_name", "MemoryError": "memory"}  # what is raised → the words for it
MOST_SHOWN = 60  # characters of a value in a picture


@dataclass(frozen=True)
class Raised:
    """What a call raised instead of returning; the same as another when its kind is."""

    kind: str
    message: str = field(compare=False)
    line: int = field(compare=False)  # of the answer's own text; 0 = not known

    def __repr__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True)
class Tried:
    """The answer itself, what it gave on each case in their order, and what it printed meanwhile."""

    answer: Any
    outputs: tuple[Any, ...]
    printed: str = ""


def judge(exercise: Exercise, text: str) -> Finding:
    """Run the text and find out; never raises for what an answer does."""
    _seed()
    begun = time.process_time()
    try:
        tried = _tried(exercise, text)
        found = exercise.check(tried.answer) if exercise.check else _compared(exercise, tried)
        found = _with_grids(exercise, found, tried)
    except Exception as error:  # noqa: BLE001  the answer's own, recorded for who wrote it
        found = _raised(error)
    return replace(found, cpu_seconds=time.process_time() - begun)


def _tried(exercise: Exercise, text: str) -> Tried:
    """Run a text, then its answer on every case; a case that raises has `Raised` as output."""
    space: dict[str, Any] = {"__name__": "answer"}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they would appear in whichever terminal the kernel has
        exec(compile(text, "<answer>", "exec"), space)
        answer = space[exercise.answer]
        if exercise.check or not isinstance(answer, types.FunctionType):
            return Tried(answer, (answer,))
        outputs = tuple(_called(answer, make()) for make in exercise.cases.values())
    return Tried(answer, outputs, printed.getvalue())


def _called(answer: Any, arguments: tuple[Any, ...]) -> Any:
    _seed()
    try:
        return answer(*arguments)
    except Exception as error:  # noqa: BLE001
        return Raised(type(error).__name__, str(error), _line_of(error))


def _compared(exercise: Exercise, tried: Tried) -> Finding:
    right = _tried(exercise, exercise.solution)
    if isinstance(right.answer, types.FunctionType) and not callable(tried.answer):
        return Finding("try_again", "not_a_function", {"given": _shown(tried.answer), "answer": exercise.answer})
    is_right = [exercise.same(one, other) for one, other in zip(tried.outputs, right.outputs)]
    labels = list(exercise.cases) or [exercise.answer]
    rows = tuple((label, _shown(each), good) for label, each, good in zip(labels, tried.outputs, is_right))
    if all(is_right):
        return Finding("ok", rows=rows)
    first = is_right.index(False)
    values = {"case": labels[first], "given": _shown(tried.outputs[first]), "num_right": sum(is_right),
              "num_cases": len(labels), "answer": exercise.answer}  # fmt: skip
    return Finding("try_again", _misconception(exercise, tried), values, rows)


def _misconception(exercise: Exercise, tried: Tried) -> str:
    """Return the known wrong answer that this one behaves like on every case, else what went wrong in general."""
    for name, text in exercise.wrong.items():
        known = _tried(exercise, text)
        if len(known.outputs) == len(tried.outputs) and all(
            exercise.same(one, other) or (isinstance(one, Raised) and one == other)
            for one, other in zip(tried.outputs, known.outputs)
        ):
            return name
    if all(each is None for each in tried.outputs):
        return "printed" if tried.printed.strip() else "returned_nothing"
    if all(isinstance(each, Raised) for each in tried.outputs):
        return SPECIAL.get(tried.outputs[0].kind, "raised")
    return ""


def _with_grids(exercise: Exercise, found: Finding, tried: Tried) -> Finding:
    if exercise.grids is None or found.grids or found.misconception in ("raised", "not_a_function"):
        return found
    try:
        grids = exercise.grids(tried.answer)
    except Exception:  # noqa: BLE001  a wrong answer needn't give anything that can be drawn
        return found
    return replace(found, grids=grids)


def _raised(error: Exception) -> Finding:
    told = {"given": f"{type(error).__name__}: {error}", "line": str(_line_of(error)), "case": "", "answer": ""}
    told |= {"num_right": "0", "num_cases": "0"}
    kind = SPECIAL.get(type(error).__name__, "raised")
    return Finding("try_again", kind, told, traceback="".join(traceback.format_exception(error)))


def _line_of(error: BaseException) -> int:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<answer>"]
    return lines[-1] if lines and lines[-1] else 0


def _shown(value: Any) -> str:
    text = " ".join((value if isinstance(value, str) else repr(value)).split())
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"


def _seed() -> None:
    """Make what is random the same for every call; torch, where it isn't loaded yet, begins in the same state anyway."""
    import numpy as np

    random.seed(0)
    np.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


def plain(finding: Finding) -> Mapping[str, Any]:
    """Return a finding as JSON can hold it, values in words."""
    return {**finding.to_json(), "values": {key: str(value) for key, value in finding.values.items()}}
