"""What runs told of a value while they trained, read back from their events."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from workbench.nouns import Run

if TYPE_CHECKING:
    import numpy as np

Part = tuple["np.ndarray", "np.ndarray", int]  # done, values, total


def parts(run: Run, value: str) -> dict[str, Part]:
    """Return part → its curve; a part that trains twice (teacher, then student) gives two, numbered."""
    path = Path(run.folder) / "events.jsonl"
    if not run.folder or not path.exists():
        return {}
    return _read(path, value, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _read(path: Path, value: str, _changed: int) -> dict[str, Part]:
    import numpy as np

    found: dict[str, list[list[tuple[int, float, int]]]] = {}
    for event in _progress(path):
        if value not in (event.get("values") or {}):
            continue
        stretches = found.setdefault(str(event.get("part", "")), [[]])
        if stretches[-1] and event["done"] <= stretches[-1][-1][0]:
            stretches.append([])
        stretches[-1].append((event["done"], event["values"][value], event["total"]))
    return {
        part + (f" ({number})" if len(stretches) > 1 else ""): (
            np.array([row[0] for row in rows]), np.array([row[1] for row in rows], float), rows[-1][2],
        )
        for part, stretches in found.items()
        for number, rows in enumerate(stretches, start=1)
    }  # fmt: skip


def _progress(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_bytes().splitlines():
        if b'"progress"' in line:
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError:  # a worker that was killed, or is writing now, left half a line
                return


def lent(run: Run, own: Mapping[str, Part], others: Sequence[Run], value: str) -> dict[str, tuple[str, Part]]:
    """Return part → (run id, curve) of training that another run did on the very same beginning."""
    steps = list(run.job.get("steps") or ())
    found: dict[str, tuple[str, Part]] = {}
    for other in others:
        same = all(other.job.get(name) == run.job.get(name) for name in ("model", "data", "seed"))
        if other.run_id == run.run_id or not same:
            continue
        theirs = list(other.job.get("steps") or ())
        shared = next((i for i, (a, b) in enumerate(zip(steps, theirs)) if a != b), min(len(steps), len(theirs)))
        wanted = tuple(f"steps[{index}]." for index in range(shared))
        for part, curve in parts(other, value).items() if shared else ():
            if part.startswith(wanted) and part not in own:
                found.setdefault(part, (other.run_id, curve))
    return dict(sorted(found.items()))
