"""What a finished sensitivity run says of each layer, as one number: how much any layer's answers may move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.job import Job
from workbench.nouns import Run

NUM_TOLERANCES = 8


@dataclass(frozen=True)
class Levels:
    """Divergence of the answers with one layer at one level, in nats; a step without strength has the one level None."""

    run_id: str
    parameter: str
    moved: Mapping[str, Sequence[tuple[float | None, float]]]  # layer → (level, KL)

    def tolerances(self) -> tuple[float, ...]:
        """Return divergences that tell levels apart, evenly over their ranks, smallest first."""
        values = sorted({kl for cells in self.moved.values() for _, kl in cells})
        if len(values) <= NUM_TOLERANCES:
            return tuple(values)
        return tuple(values[round(place * (len(values) - 1) / (NUM_TOLERANCES - 1))] for place in range(NUM_TOLERANCES))

    def within(self, tolerance: float) -> dict[str, float | None]:
        """Return the highest level of each layer up to which its answers move no further; layers without one stay out."""
        found: dict[str, float | None] = {}
        for layer, cells in self.moved.items():
            for level, kl in sorted(cells, key=lambda cell: cell[0] or 0.0):
                if kl > tolerance:
                    break
                found[layer] = level if self.parameter else 1.0  # any level takes the layer in
        return found


def levels_of(base: Job, runs: Sequence[Run]) -> dict[str, Levels]:
    """Return what the newest sensitivity run of this trained model says, by step; empty when there is none."""
    wanted = {key: value for key, value in base.to_json().items() if key in ("model", "data", "steps", "seed")}
    found: dict[str, Levels] = {}
    for run in runs:
        if run.status != "done" or {key: run.job.get(key) for key in wanted} != wanted:
            continue
        moved: dict[tuple[str, str], dict[str, list[tuple[float | None, float]]]] = {}
        for each in run.measurements:
            if each.name == "sensitivity_kl":
                how = each.conditions
                cells = moved.setdefault((how["step"], how["parameter"]), {})
                cells.setdefault(how["layer"], []).append((how["level"], each.value))
        found |= {step: Levels(run.run_id, parameter, cells) for (step, parameter), cells in moved.items()}
    return found
