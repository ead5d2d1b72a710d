"""How many calibration examples are enough, how much it matters which ones, and whether they may be used at all."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from workbench import catalog
from workbench.bench import OnEvent, carry_out
from workbench.errors import InvalidInput, RunFailed
from workbench.fresh import fresh_caller
from workbench.job import Job
from workbench.nouns import Examples, Run, Splits
from workbench.part import Metric
from workbench.store import Store

FUNCTION = "workbench.diagnose._calibrating:cells"


@dataclass(frozen=True)
class Count:
    """What one number of calibration examples gives, over seeds that choose which ones."""

    num_examples: int
    shares: tuple[float, ...]  # of validation examples answered right, by seed
    most_classes_missing: int  # in any of these choices

    @property
    def band(self) -> tuple[float, float]:
        return min(self.shares), max(self.shares)


@dataclass(frozen=True)
class Calibration:
    run_id: str
    before: str  # run id of the model before the step
    step: str
    float_share: float  # answered right before the step
    num_validation: int
    counts: tuple[Count, ...]  # fewest examples first

    @property
    def enough(self) -> int:
        """The fewest examples whose every choice comes within one validation example of all of them."""
        last = self.counts[-1].band[0] - 1.000001 / self.num_validation
        return next(each.num_examples for each in self.counts if each.band[0] >= last)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "enough": self.enough}


def calibration_lab(
    run: Run, store: Store, *, counts: Sequence[int] = (8, 16, 32, 64), seeds: int = 5, on_event: OnEvent | None = None
) -> Calibration:
    """Repeat the calibrated step of a finished run on other choices of its calibration split; nothing is stored but its parent.

    Raises InvalidInput when no step takes num_calibration, for other data than classification, and when calibration examples
    are also test or validation examples: what they'd say of accuracy would be untrue.
    """
    job = Job.from_json(run.job)
    able = [i for i, each in enumerate(job.steps) if each.precision and "num_calibration" in type(each).model_fields]
    if not able:
        raise InvalidInput([f"no precision step of {job.recipe()} takes calibration examples"])
    if "classification" not in job.data.card().task:
        raise InvalidInput(
            [f"{job.data.name()} is {job.data.card().task}: right answers are counted, so classes are needed"]
        )
    splits = job.data.load()
    refuse_overlap(splits)
    available = len(splits.calibration)
    wanted = sorted({count for count in counts if 0 < count < available} | {available})
    quality: Any = catalog.make("measure", "quality")
    assert isinstance(quality, Metric)
    before = carry_out(replace(job, steps=job.steps[: able[-1]], metrics=(quality,)), store, on_event=on_event)
    if before.status != "done":
        raise RunFailed(f"{before.run_id} is {before.status}: {(before.error or {}).get('message', '')}")
    step = job.steps[able[-1]]
    options = {"job": dict(before.job), "step": step.to_json(), "store": str(store.root), "counts": wanted, "seeds": seeds,
               "saved": str(Path(before.folder) / before.artifact)}  # fmt: skip
    cells = fresh_caller(FUNCTION, [], threads=1, options=options)
    found = tuple(_count(each, [cell for cell in cells if cell["count"] == each]) for each in wanted)
    share = before.get("accuracy", split="validation")
    assert share is not None
    return Calibration(run.run_id, before.run_id, step.describe(), share.value, len(splits.validation), found)


def refuse_overlap(splits: Splits) -> None:
    """Raise InvalidInput when calibration examples are, byte for byte, in a split that judges."""
    calibration = _digests(splits.calibration)
    for name in ("validation", "test"):
        if shared := len(calibration & _digests(getattr(splits, name))):
            raise InvalidInput(
                [f"{shared} calibration examples are also in the {name} split, which would judge them"],
                next_move="take them out of one of the two, or let the data be split anew",
            )


def _digests(examples: Examples) -> set[bytes]:
    import numpy as np

    arrays = [np.ascontiguousarray(array).reshape(len(examples), -1) for array in examples.inputs.values()]
    return {hashlib.sha256(b"".join(array[i].tobytes() for array in arrays)).digest() for i in range(len(examples))}


def _count(num_examples: int, cells: Sequence[dict[str, Any]]) -> Count:
    shares = tuple(cell["k"] / cell["n"] for cell in cells)
    return Count(num_examples, shares, max(cell["missing"] for cell in cells))
