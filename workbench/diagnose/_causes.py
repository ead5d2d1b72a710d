"""From what was seen in a layer to what may be wrong there, and to the change that would show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OUTLIER = 4.0  # largest |input| over the 99.9th percentile: of 256 steps fewer than 64 are left for nearly all inputs
SPREAD = 8.0  # largest weight of an output over the median one: a scale for the layer leaves that one three bits less
BEYOND = 0.001  # of the inputs: more than the range of a fair sample leaves out
SHIFT = 0.5  # deviations
DEAD = 0.05  # of the channels


@dataclass(frozen=True)
class Change:
    """Another way of doing the step."""

    what: str
    why: str
    fields: Mapping[str, Any]  # of the step's record
    layer: str = ""
    after: tuple[Mapping[str, Any], ...] = field(default_factory=tuple)  # steps that follow it


def words(evidence: Mapping[str, float], step: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is unusual about a layer, with the figures; only what matters to the step."""
    is_static, told = "calibration" in step, []
    if is_static and evidence.get("outlier", 0.0) > OUTLIER:
        told.append(f"range outlier: its largest input is {evidence['outlier']:.3g} × the 99.9th percentile")
    if is_static and evidence.get("beyond", 0.0) > BEYOND:
        told.append(
            f"calibration mismatch: {evidence['beyond']:.2%} of validation inputs lie outside the calibrated range"
        )
    if step.get("per_channel") is False and evidence.get("spread", 0.0) > SPREAD:
        told.append(
            f"channels of unequal range: the largest weights are {evidence['spread']:.3g} × those of the median channel"
        )
    if evidence.get("dead", 0.0) > DEAD:
        told.append(f"dead channels: {evidence['dead']:.0%} of those that answered before answer nothing any more")
    if evidence.get("shift", 0.0) > SHIFT:
        told.append(
            f"batch-norm shift: a channel's mean is {evidence['shift']:.3g} deviations from the running mean behind"
        )
    return tuple(told)


def changes(layer: str, evidence: Mapping[str, float], step: Mapping[str, Any]) -> list[Change]:
    """Return the changes that would help if the words are right; a step without the parameter has none of them."""
    found = []
    told = {text.partition(":")[0]: text for text in words(evidence, step)}
    if why := told.get("range outlier"):
        found += [
            Change(f"calibration={other}", why, {"calibration": other})
            for other in ("percentile", "entropy", "mse")
            if step["calibration"] == "minmax"
        ]
    if (why := told.get("calibration mismatch")) and step.get("num_calibration"):
        found.append(Change("all calibration examples", why, {"num_calibration": None}))
    if why := told.get("channels of unequal range"):
        found.append(Change("per_channel=True", why, {"per_channel": True}))
        if "equalise" in step:
            found.append(Change("equalise=True", why, {"equalise": True}))
    if why := told.get("dead channels"):
        found.append(Change("left as it was", why, {"skip": [*step["skip"], layer]}, layer))
    if why := told.get("batch-norm shift"):
        found.append(Change("refresh_norms behind it", why, {}, after=({"use": "refresh_norms"},)))
    return found
