"""LeNet-300-100: the fully connected classifier of LeCun et al. 1998, widths choosable."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.nouns import DataCard, ModelCard
from workbench.params import param
from workbench.part import Model
from workbench.zoo import _layers

if TYPE_CHECKING:
    from torch import nn


class LeNet300100(Model):
    """Input size and class count follow the data: 64-300-100-10 on 8 × 8 digits. Takes rows of a table, too."""

    title = "LeNet-300-100"
    source = "LeCun, Bottou, Bengio & Haffner, Proc. IEEE 86(11), 1998, section III.B"
    licence = "Apache-2.0 (this project)"

    hidden_1: int = param(300, help="Width of the first hidden layer", unit="units", ge=1, le=4096)
    hidden_2: int = param(100, help="Width of the second hidden layer", unit="units", ge=1, le=4096)

    tasks = ("image-classification", "table-classification")

    def why_not(self, data: DataCard) -> list[str]:
        if data.task != "table-classification":
            return _layers.not_images(self, data)
        named = [spec.name for spec in data.inputs]
        return [] if named == ["features"] else [f"{self.name()} takes one input, features; {data.name} has {named}"]

    def _widths(self, data: DataCard) -> list[int]:
        num_inputs = math.prod(int(size) for size in data.inputs[0].shape[1:])
        return [num_inputs, self.hidden_1, self.hidden_2, data.num_classes]

    def card(self, data: DataCard) -> ModelCard:
        widths = self._widths(data)
        layers = tuple(_layers.linear(f"fc{i + 1}", widths[i], widths[i + 1]) for i in range(3))
        return ModelCard(
            self.name(), data.task, data.inputs, _layers.logits(data), layers, _layers.count(layers),
            licence=self.licence, source=self.source,
        )  # fmt: skip

    def build(self, data: DataCard) -> nn.Module:
        from workbench.zoo._lenet import MultiLayerPerceptron

        return MultiLayerPerceptron(self._widths(data))
