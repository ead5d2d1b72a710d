"""Checks one planned layout: one rank's step on the real model definition, simulated, beside what was worked out.

The simulation is a process of its own: a 70B model takes about a minute of one core and under a GB, and no device at all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from workbench.errors import InvalidInput
from workbench.plan import architecture, training
from workbench.plan._config import config_of
from workbench.plan.training import Layout, Wanted
from workbench.telling import Say, Telling, tell

SPLIT = ("llama", "mistral", "qwen2", "qwen3")  # model types whose layers this library splits by tensors


@dataclass(frozen=True)
class Checked:
    """Bytes of the fullest rank by part, worked out and simulated; `stage` is the pipeline stage that it is in."""

    layout: Layout
    stage: int
    planned: Mapping[str, float]
    simulated: Mapping[str, float]
    cpu_seconds: float
    own_bytes: float  # that the simulation itself took

    @property
    def difference(self) -> float:
        """What the simulated rank holds over what was planned, less 1."""
        return sum(self.simulated.values()) / sum(self.planned.values()) - 1

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "difference": self.difference}


class Check:
    """A check under way; `stop` ends it."""

    def __init__(self, source: str, wanted: Wanted, layout: Layout) -> None:
        """Start it; raises InvalidInput for what can't be simulated. `source` is as for `architecture.find`."""
        model, config = architecture.find(source), config_of(source)
        if reasons := why_not(config, layout):
            raise InvalidInput(reasons, next_move="check another layout")
        self.layout = layout
        memories = {stage: training.memory_of(model, wanted, layout, stage) for stage in (0, layout.pipeline - 1)}
        self.stage = max(memories, key=lambda stage: sum(memories[stage].values()))
        self.planned = memories[self.stage]
        request = {"config": config, "wanted": asdict(wanted), "layout": asdict(layout), "stage": self.stage}
        self._process = Telling("workbench.plan.check", request)

    def follow(self, say: Say = lambda progress: None) -> Checked:
        """Wait for the end, telling what is done; raises RunFailed, Cancelled once stopped."""
        found = self._process.follow(say)
        return Checked(self.layout, self.stage, self.planned, found["memory"], found["cpu_seconds"], found["own_bytes"])

    def stop(self) -> None:
        self._process.stop()


def why_not(config: Mapping[str, Any], layout: Layout) -> list[str]:
    """Return every reason against simulating a layout of a model; empty = none."""
    kind = config.get("model_type")
    if layout.tensor > 1 and kind not in SPLIT:
        return [f"how {kind} splits by tensors isn't known to this library's layouts (known: {', '.join(SPLIT)})"]
    return []


def _work(request: Mapping[str, Any], say: Callable[[Any], None]) -> dict[str, Any]:
    from workbench.plan._simulated import simulate

    wanted, layout = Wanted(**request["wanted"]), Layout(**request["layout"])
    return simulate(request["config"], wanted, layout, request["stage"], say)


if __name__ == "__main__":
    sys.exit(tell(_work))
