"""Why a run can't be deleted: it is running, somebody pinned it, or runs that stay need it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import orjson

from workbench.errors import ArtifactError, InvalidInput
from workbench.nouns import Run

COMPARISONS = ".comparisons"
TOLD_RUNS = 3


def needs(run: Run) -> set[str]:
    """Return the ids of the runs that a run was measured against or made from (`run:ID` in its job)."""
    named = re.findall(rb'"run:([^"\\]+)"', orjson.dumps(run.job))
    return {found for found in (run.parent, run.reference, *map(bytes.decode, named)) if found} - {run.run_id}


def comparisons(root: Path) -> dict[Path, set[str]]:
    """Return every file of samples that two runs were timed together for, with the ids of the two."""
    return {path: set(path.stem.rpartition("-")[0].split("+")) for path in sorted((root / COMPARISONS).glob("*.npz"))}


def refuse(going: Mapping[str, Run], others: Iterable[Run], marks: Path) -> None:
    """Raise InvalidInput with everything that speaks against it; `others` are the runs whose needs count."""
    found = [*_own_reasons(going, marks), *_needed(going, [run for run in others if run.run_id not in going])]
    if found:
        moves = dict.fromkeys(move for _, move in found)
        raise InvalidInput([problem for problem, _ in found], next_move="; ".join(moves))


def _own_reasons(going: Mapping[str, Run], marks: Path) -> Iterator[tuple[str, str]]:
    for run_id, run in going.items():
        if run.status == "running":
            yield f"{run_id} is running", "cancel it first"
        if _is_pinned(marks / f"{run_id}.json"):
            yield f"{run_id} is pinned", "workbench unpin RUN"


def _needed(going: Mapping[str, Run], staying: Iterable[Run]) -> Iterator[tuple[str, str]]:
    by: dict[str, list[str]] = {}
    for run in staying:
        for run_id in needs(run) & going.keys():
            by.setdefault(run_id, []).append(run.run_id)
    for run_id, others in by.items():
        more = f" and {len(others) - TOLD_RUNS} more" if len(others) > TOLD_RUNS else ""
        yield f"{run_id} is needed by {', '.join(others[:TOLD_RUNS])}{more}", "delete those too, or force it"


def _is_pinned(marks: Path) -> bool:
    try:
        return bool(orjson.loads(marks.read_bytes())["pinned"])
    except FileNotFoundError:
        return False
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ArtifactError(f"{marks}: not readable ({error})", next_move="repair the file, or remove it") from None
