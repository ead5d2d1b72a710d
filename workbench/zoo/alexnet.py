"""AlexNet: its plan of five convolutions and three linear layers, sized to the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.nouns import DataCard, ModelCard
from workbench.params import param
from workbench.part import Model
from workbench.zoo import _layers

if TYPE_CHECKING:
    from torch import nn

CHANNELS = (96, 256, 384, 384, 256)  # as published, for width 64 of the first
LARGE = 96  # pixels from which the published first window (11, stride 4) leaves a map to look at
SMALLEST = 8


class Alexnet(Model):
    """Pictures under 96 × 96 get a first window of 5 with stride 1, as is usual for CIFAR; wider ones the published 11 with stride 4.

    One tower instead of two, as in Krizhevsky, arXiv 1404.5997; no local response normalisation; pooling is padded.
    """

    title = "AlexNet"
    source = "Krizhevsky, Sutskever & Hinton, NIPS 2012, figure 2; one tower: arXiv 1404.5997"
    licence = "Apache-2.0 (this project)"

    width: float = param(0.25, help="All widths against the published ones", unit="× published", gt=0.01, le=1)

    def why_not(self, data: DataCard) -> list[str]:
        reasons = _layers.not_images(self, data)
        if not reasons and min(_layers.image_shape(data)[1:]) < SMALLEST:
            reasons.append(f"images must be at least {SMALLEST} × {SMALLEST}, {data.name} has {data.inputs[0].shape}")
        return reasons

    def card(self, data: DataCard) -> ModelCard:
        plan, sizes = self._plan(data)
        convs = [
            _layers.conv(f"conv{i}", inputs, outputs, kernel=kernel, positions=height * width)
            for i, ((inputs, outputs, kernel, *_), (height, width)) in enumerate(zip(plan, sizes[:-1]), start=1)
        ]
        flat, hidden = self._flat(data), self._hidden()
        linear = [
            _layers.linear(name, inputs, outputs)
            for name, inputs, outputs in (
                ("fc6", flat, hidden), ("fc7", hidden, hidden), ("fc8", hidden, data.num_classes)
            )
        ]  # fmt: skip
        layers = (*convs, *linear)
        return ModelCard(
            self.name(), data.task, data.inputs, _layers.logits(data), layers, _layers.count(layers),
            licence=self.licence, source=self.source,
        )  # fmt: skip

    def build(self, data: DataCard) -> nn.Module:
        from workbench.zoo._alexnet import AlexNetwork

        return AlexNetwork(self._plan(data)[0], self._flat(data), self._hidden(), data.num_classes)

    def _hidden(self) -> int:
        return max(8, round(4096 * self.width))

    def _flat(self, data: DataCard) -> int:
        plan, sizes = self._plan(data)
        return plan[-1][1] * sizes[-1][0] * sizes[-1][1]

    def _plan(self, data: DataCard) -> tuple[list[tuple[int, int, int, int, bool]], list[tuple[int, int]]]:
        """Return (inputs, outputs, kernel, stride, pooled) of each convolution, and the map's size at each, then after all."""
        channels, height, width = _layers.image_shape(data)
        is_large = min(height, width) >= LARGE
        first = (11, 4) if is_large else (5, 1)
        shapes = (first, (5, 1), (3, 1), (3, 1), (3, 1))
        plan, sizes, inputs = [], [], channels
        for index, ((kernel, stride), published) in enumerate(zip(shapes, CHANNELS)):
            height, width = -(-height // stride), -(-width // stride)  # padded by half the (odd) kernel
            outputs, pooled = max(4, round(published * self.width)), index in (0, 1, 4)
            plan.append((inputs, outputs, kernel, stride, pooled))
            sizes.append((height, width))
            inputs = outputs
            if pooled:
                height, width = (height + 1) // 2, (width + 1) // 2
        return plan, [*sizes, (height, width)]
