"""What a training process spends its time on, as sums that only grow: readers take differences, whatever was told in between."""

from __future__ import annotations

import time


class Meter:
    """Counts examples, targets and seconds of finished updates.

    On a CPU the seconds are told apart: `compute_s`, the training thread at work; `communication_s`, other threads of the
    process (gloo's, which move tensors) at work while that one waited; `idle_s`, the rest: waiting for other processes or for
    a core. Three clocks are read for each update.
    """

    def __init__(self, *, splits: bool) -> None:
        """`splits`: whether clocks of threads tell what was going on; accelerators work beside them."""
        self.splits = splits
        self.sums = {"examples": 0.0, "targets": 0.0, "seconds": 0.0}
        if splits:
            self.sums |= {"compute_s": 0.0, "communication_s": 0.0, "idle_s": 0.0}
        self._before = self._clocks()

    def begin(self) -> None:
        """Leave out what has passed since the last update, or since the beginning."""
        self._before = self._clocks()

    def count(self, *, examples: int, targets: int) -> None:
        """Add one update, which has just ended."""
        now = self._clocks()
        wall, own, all_threads = (after - before for after, before in zip(now, self._before))
        self._before = now
        self.sums["examples"] += examples
        self.sums["targets"] += targets
        self.sums["seconds"] += wall
        if self.splits:
            waited = max(0.0, wall - own)
            talked = min(waited, max(0.0, all_threads - own))
            self.sums["compute_s"] += wall - waited
            self.sums["communication_s"] += talked
            self.sums["idle_s"] += waited - talked

    @staticmethod
    def _clocks() -> tuple[float, float, float]:
        return time.perf_counter(), time.thread_time(), time.process_time()
