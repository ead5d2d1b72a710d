"""How long each lesson really takes on this machine, and how much memory: measured by running its solution, kept, and shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workbench.ceilings import cache_folder
from workbench.lessons import build
from workbench.lessons._kernel_memory import KernelMemory
from workbench.lessons.exercise import Lesson
from workbench.nouns import SCHEMA

SLOW_SECONDS = 10.0  # a cell that takes longer is named


@dataclass(frozen=True)
class Rehearsed:
    """One lesson's solution as it ran: seconds in all, and of each slow cell (its first line), memory of its kernel."""

    number: str
    seconds: float
    budget_seconds: float
    slow_cells: tuple[tuple[str, float], ...]
    memory_bytes: int = 0  # the kernel's, at most; 0 = not measured

    @property
    def is_within_budget(self) -> bool:
        return self.seconds <= self.budget_seconds


def rehearse(
    lessons: Sequence[Lesson], folder: Path, *, fast: bool = False, on_lesson: Callable[[Rehearsed], None] | None = None
) -> list[Rehearsed]:
    """Run solutions in a folder of their own (with a store of their own, so that nothing is there already).

    The measured seconds replace what was kept before; with `fast` they are of the short versions, and aren't kept.
    """
    done = []
    for lesson in lessons:
        found = _run(lesson, folder, dict(lesson.fast) if fast else {})
        done.append(found)
        if on_lesson:
            on_lesson(found)
    if not fast:
        keep(done)
    return done


def _run(lesson: Lesson, folder: Path, parameters: dict[str, Any]) -> Rehearsed:
    from workbench.batch.execute import execute

    source = build.notebook_path(lesson, "solution")
    place = folder / "notebooks" / "workshop" / source.name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(source.read_bytes())
    with KernelMemory() as memory:
        done = execute(place, folder / source.name, parameters=parameters)
    cells = [
        (cell.source.partition("\n")[0], _seconds(cell)) for cell in done.notebook.cells if cell.cell_type == "code"
    ]
    slow = tuple((line, round(seconds, 1)) for line, seconds in cells if seconds > SLOW_SECONDS)
    return Rehearsed(lesson.number, round(done.took_seconds, 1), lesson.run_seconds, slow, memory.peak_bytes)


def _seconds(cell: Any) -> float:
    return float(cell.metadata.get("papermill", {}).get("duration") or 0.0)


def keep(found: Sequence[Rehearsed]) -> None:
    """Keep what was measured on this machine, beside what was kept of other lessons."""
    kept = {number: asdict(each) for number, each in known().items()}
    kept |= {each.number: asdict(each) for each in found}
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps({"schema": SCHEMA, "lessons": kept}, indent=1))
    draft.replace(path)


def known() -> dict[str, Rehearsed]:
    """Return what was measured on this machine by lesson; empty where nothing was rehearsed."""
    path = _path()
    if not path.is_file():
        return {}
    record = json.loads(path.read_text())
    return {
        number: Rehearsed(**{**each, "slow_cells": tuple(map(tuple, each["slow_cells"]))})
        for number, each in record["lessons"].items()
    }


def _path() -> Path:
    return cache_folder() / "rehearsal.json"
