"""Data sets: what is known before they are loaded, and their examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.nouns._model import Task, TensorSpec

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Tokens:
    """How texts became numbers."""

    vocabulary: int
    tokenizer: str = ""  # folder of the checkpoint whose tokenizer read them; "" = they are bytes
    padding: int | None = None  # token that fills up short texts, told by attention_mask; None = nothing tells it


@dataclass(frozen=True)
class DataCard:
    """What is known of a data set before it is loaded."""

    name: str
    task: Task
    inputs: tuple[TensorSpec, ...]  # with a leading "batch"
    num_classes: int  # vocabulary size for language models; 0 when unlabelled
    labels: tuple[str, ...] = ()
    num_examples: Mapping[str, int] = field(default_factory=dict)  # split -> count, where known
    licence: str = ""
    source: str = ""
    synthetic: bool = False
    tokens: Tokens | None = None  # None = there is no text, or nothing is known of its tokens


@dataclass(frozen=True)
class Examples:
    """Some examples: `inputs` by name, each with the examples on axis 0; `targets` int64 (N,) or (N, T), −100 = ignore."""

    inputs: Mapping[str, np.ndarray]
    targets: np.ndarray

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def take(self, index: Any) -> Examples:
        """Return the examples at `index` (a slice or an integer array)."""
        return Examples({name: array[index] for name, array in self.inputs.items()}, self.targets[index])


@dataclass(frozen=True)
class Splits:
    """The four parts of a data set; calibration and test never share an example."""

    train: Examples
    validation: Examples
    calibration: Examples
    test: Examples
