"""What a person can pick: the families of parts and the promises each one makes.

A part is one file in its family's folder. Its fields are its parameters. Declarations, `why_not`, `preview` and `card`
must not import torch: thousands of them are asked while a panel is open.
"""

from __future__ import annotations

import re

from workbench.part._format import Decoder, Format, Reading, SaveContext
from workbench.part._metric import MeasureContext, Metric
from workbench.part._model import Data, Model
from workbench.part._part import Part, Session
from workbench.part._start import Launcher, Layout
from workbench.part._step import TRAINED_AT_ONCE, Context, Step

__all__ = [
    "FAMILIES", "TRAINED_AT_ONCE", "Context", "Data", "Decoder", "Format", "Launcher", "Layout", "MeasureContext", "Metric",
    "Model", "Part", "Reading", "SaveContext", "Session", "Step", "class_matches_file",
]  # fmt: skip

FAMILIES: dict[str, type[Part]] = {base.family: base for base in (Model, Data, Step, Format, Metric, Launcher, Layout)}


def class_matches_file(cls: type[Part], stem: str) -> bool:
    """Say whether a class is named after its file: `MagnitudePrune` in `magnitude_prune.py`."""
    return cls.__name__.lower() == re.sub(r"_", "", stem).lower()
