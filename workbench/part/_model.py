"""Families `zoo` and `data`: what is compressed, and on what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from workbench.nouns import DataCard, ModelCard, Splits
from workbench.part._part import Part

if TYPE_CHECKING:
    from torch import nn


class Model(Part):
    """Family `zoo`: where a model comes from."""

    family = "zoo"
    tasks: ClassVar[tuple[str, ...]] = ("image-classification",)  # tasks of data it can take
    licence: ClassVar[str] = ""
    pretrained: ClassVar[bool] = False  # its weights are worth something before any training
    card_needs_module: ClassVar[bool] = False  # True: only a worker can make the card, from the module itself

    def why_not(self, data: DataCard) -> list[str]:
        """Return reasons against this model on this data; empty means yes."""
        if data.task not in self.tasks:
            return [f"{self.name()} takes {' or '.join(self.tasks)} data, {data.name} is {data.task}"]
        return []

    def card(self, data: DataCard) -> ModelCard:
        """Return what is known without weights, for inputs shaped as in `data`."""
        raise NotImplementedError

    def build(self, data: DataCard) -> nn.Module:
        """Return a freshly initialised (or pretrained) float32 module: inputs by name → output tensor (logits).

        The caller has seeded torch. Classification returns (N, classes), language models (N, T, vocabulary).
        """
        raise NotImplementedError

    def source_files(self) -> list[Path]:
        """Return a person's own files that decide what `build` returns (they enter the cache key)."""
        return []


class Data(Part):
    """Family `data`: one task with its fixed, seeded splits."""

    family = "data"

    def card(self) -> DataCard:
        raise NotImplementedError

    def load(self) -> Splits:
        """Return the splits; the same parameters give the same arrays, bit for bit."""
        raise NotImplementedError
