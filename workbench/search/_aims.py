"""What a search can make small, and how each is read from a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workbench.errors import InvalidInput
from workbench.nouns import Cost, Run
from workbench.params import did_you_mean

SETTLED = ("size", "quality")  # metrics of every trial


@dataclass(frozen=True)
class Measured:
    """A measured cost with the ends of its 95 % interval; exact ones have none."""

    value: float
    lo: float | None = None
    hi: float | None = None


@dataclass(frozen=True)
class Aim:
    """One quantity that is to become small."""

    name: str
    words: str
    unit: str
    metric: dict[str, Any]  # record of what measures it; empty when `SETTLED` does

    def measured(self, run: Run) -> Measured | None:
        """Return the cost of a run; None when it wasn't measured.

        A latency is the ratio to the model's fp32 ONNX, timed alternately with it: no two runs are compared by the clock.
        """
        if self.name == "latency" and run.reference is None and run.get("latency_ms_p50"):
            return Measured(1.0, 1.0, 1.0)
        names = {"bytes": "artifact_bytes", "latency": "latency_ratio_to_reference", "energy": "energy_joules"}
        found = run.get(names[self.name])
        return Measured(found.value, found.lo, found.hi) if found else None

    def estimated(self, cost: Cost) -> tuple[Any, ...]:
        """Return what the estimate knows of this cost: equal ones mean that nothing changes."""
        if self.name == "bytes":
            return (cost.artifact_bytes,)
        return (cost.macs, cost.latency_ms_low, cost.latency_ms_high, cost.dense_bytes)


AIMS = {
    "bytes": Aim("bytes", "bytes", "bytes", {}),
    "latency": Aim(
        "latency", "latency", "× fp32 ONNX as trained", {"use": "latency", "batch": 1, "pairs": 60, "restarts": 3}
    ),
    "energy": Aim("energy", "energy", "J / example", {"use": "energy"}),
}


def aims(names: tuple[str, ...]) -> tuple[Aim, ...]:
    """Return the aims of these names; raises InvalidInput for unknown ones, for none and for the same one twice."""
    problems = [f"no aim {name!r}{did_you_mean(name, AIMS)}" for name in names if name not in AIMS]
    if not names or len(set(names)) < len(names):
        problems.append(f"minimise names each aim once, given {', '.join(names) or 'none'}")
    if problems:
        raise InvalidInput(problems, next_move=f"minimise one or more of {', '.join(AIMS)}")
    return tuple(AIMS[name] for name in names)


def metrics(wanted: tuple[Aim, ...], threads: int) -> list[dict[str, Any]]:
    """Return the records of the metrics of a trial."""
    timed = [{**aim.metric, "threads": threads} for aim in wanted if aim.metric]
    return [*({"use": name} for name in SETTLED), *timed]
