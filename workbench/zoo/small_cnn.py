"""A small convolutional network with batch normalisation, for students and quick experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.nouns import DataCard, Layer, ModelCard
from workbench.params import param
from workbench.part import Model
from workbench.zoo import _layers

if TYPE_CHECKING:
    from torch import nn


class SmallCnn(Model):
    """Blocks of convolution, normalisation, ReLU and pooling, each twice as wide as the one before; average; linear."""

    title = "Small CNN"
    source = "this project; the plan of VGG (arXiv 1409.1556) with batch normalisation (arXiv 1502.03167)"
    licence = "Apache-2.0 (this project)"

    width: int = param(
        16, help="Channels of the first block; each further block has twice as many", unit="channels", ge=1, le=256
    )
    blocks: int = param(3, help="Blocks; all but the last halve height and width", unit="blocks", ge=1, le=5)

    def why_not(self, data: DataCard) -> list[str]:
        reasons = _layers.not_images(self, data)
        smallest = 2 ** (self.blocks - 1)
        if not reasons and min(_layers.image_shape(data)[1:]) < smallest:
            reasons.append(
                f"{self.blocks} blocks need images of {smallest} × {smallest} or more; {data.name}'s are smaller"
            )
        return reasons

    def card(self, data: DataCard) -> ModelCard:
        _, height, width = _layers.image_shape(data)
        channels = self._channels(data)
        layers: list[Layer] = []
        for index in range(self.blocks):
            positions = (height >> index) * (width >> index)
            layers += [
                _layers.conv(
                    f"blocks.{index}.conv",
                    channels[index],
                    channels[index + 1],
                    kernel=3,
                    positions=positions,
                    bias=False,
                ),
                _layers.norm(f"blocks.{index}.norm", channels[index + 1]),
            ]
        layers.append(_layers.linear("classifier", channels[-1], data.num_classes))
        return ModelCard(
            self.name(), data.task, data.inputs, _layers.logits(data), tuple(layers), _layers.count(tuple(layers)),
            licence=self.licence, source=self.source,
        )  # fmt: skip

    def build(self, data: DataCard) -> nn.Module:
        from workbench.zoo._small_cnn import SmallNetwork

        return SmallNetwork(self._channels(data), data.num_classes)

    def _channels(self, data: DataCard) -> list[int]:
        return [_layers.image_shape(data)[0], *(self.width << index for index in range(self.blocks))]
