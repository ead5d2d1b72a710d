"""Recipes to begin with: what comes after the training that a recipe starts with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench import catalog

Records = list[dict[str, Any]]

PRESETS: dict[str, Records] = {
    "as trained": [],
    "int8": [{"use": "int8_static"}],
    "prune 80 %": [{"use": "magnitude_prune", "sparsity": 0.8}, {"use": "train", "epochs": 10}],
    "channels 50 %": [{"use": "channel_prune", "ratio": 0.5}, {"use": "train", "epochs": 10}],
    "channels 50 % + int8": [
        {"use": "channel_prune", "ratio": 0.5}, {"use": "train", "epochs": 10}, {"use": "int8_static"},
    ],
}  # fmt: skip


def preset_steps(name: str, steps: Sequence[dict[str, Any]], *, pretrained: bool) -> Records:
    """Return a preset's steps behind the plain training that `steps` begin with, so that all share one parent.

    A model without weights of its own gets the training that it lacks.
    """
    leading: Records = []
    for step in steps:
        if step.get("use") != "train":
            break
        leading.append(step)
    if not leading and not pretrained:
        leading = [{"use": "train"}]
    return [catalog.make("compress", step).to_json() for step in [*leading, *PRESETS[name]]]
