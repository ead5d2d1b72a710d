"""How far a run is, from the end of its events.jsonl."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

TAIL_BYTES = 16_384  # about eighty events


@dataclass(frozen=True)
class Said:
    """What a worker said last: numbers of the part it is in, and the last words of any."""

    part: str = ""  # as in steps[0].train
    done: int = 0
    total: int = 0  # 0 when the part doesn't count
    unit: str = ""
    eta_seconds: float | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    text: str = ""


def last_said(folder: Path) -> Said | None:
    """Return what the worker of a draft or run said last; None when it has said nothing, or its folder was renamed."""
    path = folder / "events.jsonl"
    try:
        return _said(str(path), path.stat().st_size)
    except FileNotFoundError:
        return None


@functools.lru_cache(maxsize=256)
def _said(path: str, size: int) -> Said | None:
    """Read the last events before `size`: the file only grows, so the answer holds."""
    with open(path, "rb") as file:
        file.seek(max(0, size - TAIL_BYTES))
        lines = file.read(min(size, TAIL_BYTES)).split(b"\n")
    events = list(_events(lines))
    if not events:
        return None
    part = str(events[0].get("part") or "")
    text = next((str(event["text"]) for event in events if event.get("text")), "")
    counted = next((event for event in events if event.get("kind") == "progress" and event.get("part") == part), None)
    if counted is None:
        return Said(part, text=text)
    numbers = {name: counted.get(name) or 0 for name in ("done", "total")}
    return Said(
        part, **numbers, unit=counted.get("unit") or "", eta_seconds=counted.get("eta_s"),
        values=counted.get("values") or {}, text=text,
    )  # fmt: skip


def _events(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the latest event first; a line that was cut, by our seek or by a full disk, is passed over."""
    for line in reversed(lines):
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(event, dict):
            yield event
