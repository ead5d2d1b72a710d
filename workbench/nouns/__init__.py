"""The nouns of the workbench as plain, frozen data: no torch, no widgets, no disk.

Sizes are bytes, durations seconds unless a name says otherwise; ratios say `this / other`.
"""

from __future__ import annotations

from workbench.nouns._data import DataCard, Examples, Splits, Tokens
from workbench.nouns._model import Layer, ModelCard, Task, TensorSpec
from workbench.nouns._results import SCHEMA, Artifact, Cost, Measurement, Run, Status
from workbench.nouns._stored import BLOCKS, Grid, Quantization, StoredWeight, middle

__all__ = [
    "BLOCKS", "SCHEMA", "Artifact", "Cost", "DataCard", "Examples", "Grid", "Layer", "Measurement", "ModelCard", "Quantization", "Run",
    "Splits", "Status", "StoredWeight", "Task", "TensorSpec", "Tokens", "middle",
]  # fmt: skip
