"""The narrow network whose sensitivity is measured."""

from __future__ import annotations

from typing import Any

from workbench.job import Job

NARROW = {"use": "lenet_300_100", "hidden_1": 16, "hidden_2": 8}
LAYERS = ("fc1", "fc2", "fc3")


def job(*, steps: Any = (), tried: Any = None, **changes: Any) -> Job:
    return Job.from_json({
        "model": NARROW, "data": "digits", "steps": [{"use": "train", "epochs": 3}, *steps],
        "metrics": ["quality", {"use": "sensitivity", "levels": [0.5], **(tried or {})}], **changes,
    })  # fmt: skip
