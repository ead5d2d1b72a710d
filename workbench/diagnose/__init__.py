"""Where a model is sensitive, what a step did to each layer, and a recipe that treats layers differently.

sensitivity_job(job, …)     the job that tries a step on each layer alone; its run holds the measurements
apply_level(steps, …)       the same recipe with one layer at another strength, or left as it is
layer_facts(run, parent)    bytes, error, histograms and time of every layer of a saved artifact (seconds)
kept_facts(run, parent)     the same when it is known already, at once
calibration_lab(run, store) how many calibration examples are enough, and how much it matters which ones
diagnose_drop(run, store)   the layers that a step harmed most, what is unusual there, and what a change brought (runs)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from workbench import catalog
from workbench.diagnose._levels import apply_level
from workbench.diagnose.calibration import Calibration, calibration_lab
from workbench.diagnose.drop import Diagnosis, diagnose_drop
from workbench.diagnose.layers import kept_facts, layer_facts
from workbench.job import Job
from workbench.part import Metric

__all__ = [
    "Calibration",
    "Diagnosis",
    "apply_level",
    "calibration_lab",
    "diagnose_drop",
    "kept_facts",
    "layer_facts",
    "sensitivity_job",
]


def sensitivity_job(job: Job, step: dict[str, Any], parameter: str, levels: Sequence[float]) -> Job:
    """Return the job that tries `step` on each layer of the model that `job` starts from, after its leading training.

    Without a `parameter` the step is tried at its one strength and `levels` are empty. Raises InvalidInput for a
    parameter or level that the step hasn't got.
    """
    num_leading = next((i for i, each in enumerate(job.steps) if not each.trains), len(job.steps))
    tried = {"use": "sensitivity", "step": step, "parameter": parameter, "levels": list(levels)}
    wanted = [catalog.make("measure", each) for each in ("quality", tried)]
    usable = tuple(each for each in wanted if isinstance(each, Metric) and not each.why_not(job.data.card()))
    return replace(job, steps=job.steps[:num_leading], metrics=usable)
