"""What a run has told so far, read from its folder: lines of its log, and the loss over its training."""

from __future__ import annotations

from pathlib import Path

from workbench.bench import Tail
from workbench.queue import Entry

MOST_LINES = 200
MOST_POINTS = 120
PRINTED_BYTES = 8_192  # of what the worker printed: tracebacks stand at the end


class RunLog:
    """Reads on where it stopped; no widget in it, so that it may be used aside. One caller at a time."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.losses: list[float] = []  # of the part that trained last, thinned
        self._part = ""
        self._every = 1  # of so many losses one is kept
        self._seen = 0
        self._tail: Tail | None = None

    def look(self, entry: Entry) -> RunLog:
        """Read what is new; an entry that hasn't begun has nothing."""
        if not entry.log:
            return self
        if self._tail is None:
            self._tail = Tail(Path(entry.log).parent)
        for event in self._tail.news():
            part, text = str(event.get("part") or ""), str(event.get("text") or "")
            if event.get("kind") == "progress":
                self._take_loss(part, (event.get("values") or {}).get("loss"))
            elif text or event.get("kind") != "log":
                self.lines.append(f"{str(event.get('t', ''))[11:19]} {part or '·'} {text or event.get('kind')}")
        self.lines = self.lines[-MOST_LINES:]
        return self

    def printed(self, entry: Entry) -> list[str]:
        """Return the last lines that the worker printed."""
        try:
            with open(entry.log, "rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - PRINTED_BYTES))
                return file.read().decode(errors="replace").splitlines()[-MOST_LINES:]
        except (FileNotFoundError, IsADirectoryError):  # not begun, or renamed this moment: the next look finds it
            return []

    def _take_loss(self, part: str, loss: float | None) -> None:
        if loss is None:
            return
        if part != self._part:
            self._part, self.losses, self._every, self._seen = part, [], 1, 0
        if self._seen % self._every == 0:
            self.losses.append(float(loss))
        self._seen += 1
        if len(self.losses) > MOST_POINTS:
            self.losses, self._every = self.losses[::2], 2 * self._every
