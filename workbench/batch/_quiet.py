"""One row at a time may have the machine for itself: the others are paused while it measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workbench.batch._execution import Execution
from workbench.batch.inside import QUIET_GRANTED


@dataclass
class Quiet:
    """Grants quiet to the rows that ask for it, in the order in which they were started."""

    pauses: bool = True  # else who asks only waits for others who measure
    holder: Execution | None = None  # None = nobody measures

    def look(self, running: Mapping[str, Execution]) -> None:
        """Take back what is no longer needed, and grant what is asked for once every other row can be paused."""
        alive = list(running.values())
        if self.holder and (self.holder not in alive or not self.holder.wants_quiet):
            self._end(alive)
        asking = [each for each in alive if each.wants_quiet and not each.breach]
        others = [each for each in alive if each not in asking] if self.pauses else []
        if self.holder is None and asking and all(each.has_begun for each in others):
            self.holder = asking[0]
            for each in others:
                each.pause()
            (self.holder.draft / QUIET_GRANTED).touch()

    def _end(self, alive: list[Execution]) -> None:
        for each in alive:
            each.go_on()
        if self.holder:
            (self.holder.draft / QUIET_GRANTED).unlink(missing_ok=True)
        self.holder = None
