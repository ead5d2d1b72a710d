"""What the processes of one job have told so far, read from its draft or run: each one's place, losses, and seconds by kind."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.bench import Tail
from workbench.ranks import Ranks

WINDOW = 40  # tellings, of up to ten a second, that "just now" is a mean over
MOST_LOSSES = 2000
KINDS = ("compute", "communication", "idle")
SILENT_SECONDS = 20.0  # after which a process that hasn't ended is called silent


@dataclass
class Told:
    """One process, by its last words."""

    rank: int
    part: str = ""  # steps[0].train
    trained: str = ""  # the part that `done`, `total` and all sums belong to
    done: int = 0
    total: int = 0
    kind: str = ""  # of its last event; "" = it has said nothing yet
    text: str = ""
    at: datetime | None = None  # of its last event
    losses: list[tuple[int, float]] = field(default_factory=list)  # (update, loss) of the training so far, thinned
    recent: deque[tuple[int, Mapping[str, float]]] = field(
        default_factory=lambda: deque(maxlen=WINDOW)
    )  # (update, sums)
    first: tuple[int, Mapping[str, float]] | None = None  # of this training; None = nothing was counted yet

    @property
    def trains(self) -> bool:
        """Whether it is in a training now, or has ended in one."""
        return bool(self.total) and self.part == self.trained

    def state(self, now: datetime) -> str:
        """Return `done`, `failed`, `silent`, `working` or `starting`."""
        if self.kind in ("finished", "failed"):
            return "done" if self.kind == "finished" else "failed"
        if self.at is not None and (now - self.at).total_seconds() > SILENT_SECONDS:
            return "silent"
        return "working" if self.recent else "starting"

    def per_update(self, *, whole: bool = False) -> dict[str, float]:
        """Return mean seconds of an update by kind, just now or over the whole training; empty while nothing is known."""
        spent, updates = self._spent(whole)
        if not updates:
            return {}
        kinds = {kind: spent[f"{kind}_s"] / updates for kind in KINDS if f"{kind}_s" in spent}
        return kinds or {"update": spent["seconds"] / updates}

    def per_second(self, what: str, *, whole: bool = False) -> float | None:
        """Return how many `examples` or `targets` all processes together learn from in a second; None = not known."""
        spent, updates = self._spent(whole)
        return spent[what] / spent["seconds"] if updates and spent["seconds"] > 0 else None

    def _spent(self, whole: bool) -> tuple[dict[str, float], int]:
        start = self.first if whole else self.recent[0] if self.recent else None
        if start is None or not self.recent:
            return {}, 0
        (before, old), (after, new) = start, self.recent[-1]
        return {name: value - old.get(name, 0.0) for name, value in new.items()}, after - before


class RankLog:
    """Reads on where it stopped; one caller at a time."""

    def __init__(self, draft: Path, num_ranks: int) -> None:
        self.ranks = [Told(rank) for rank in range(num_ranks)]
        self._tails = [Tail(draft, Ranks(rank, num_ranks, draft).events) for rank in range(num_ranks)]

    def look(self) -> RankLog:
        """Read what is new."""
        for told, tail in zip(self.ranks, self._tails):
            for event in tail.news():
                self._take(told, event)
        return self

    def _take(self, told: Told, event: Mapping[str, Any]) -> None:
        told.kind, told.text = event["kind"], str(event.get("text") or "")
        told.at = datetime.fromisoformat(event["t"])
        if event.get("part"):
            told.part = event["part"]
        if event["kind"] != "progress" or "sums" not in event:
            return
        if event["done"] <= told.done and told.recent:  # another training, or this one went on after a process died
            told.recent.clear()
            told.first = None
            told.losses = [each for each in told.losses if each[0] < event["done"]]
        told.done, told.total, told.trained = event["done"], event["total"], told.part
        told.first = told.first or (event["done"], event["sums"])
        told.recent.append((event["done"], event["sums"]))
        told.losses.append((event["done"], event["values"]["loss"]))
        if len(told.losses) > MOST_LOSSES:
            told.losses = told.losses[::2]
