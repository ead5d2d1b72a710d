"""LeNet-5 in the form that compression papers use: two convolutions, two linear layers, ReLU and max pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.nouns import DataCard, ModelCard
from workbench.params import param
from workbench.part import Model
from workbench.zoo import _layers

if TYPE_CHECKING:
    from torch import nn


class LeNet5(Model):
    """Convolutions are padded (the original's are not), so that images from 4 × 4 up work."""

    title = "LeNet-5"
    source = "LeCun, Bottou, Bengio & Haffner, Proc. IEEE 86(11), 1998, with the widths of arXiv 1510.00149"
    licence = "Apache-2.0 (this project)"

    channels_1: int = param(20, help="Channels of the first convolution", unit="channels", ge=1, le=512)
    channels_2: int = param(50, help="Channels of the second convolution", unit="channels", ge=1, le=512)
    hidden: int = param(500, help="Width of the hidden linear layer", unit="units", ge=1, le=4096)

    def why_not(self, data: DataCard) -> list[str]:
        reasons = _layers.not_images(self, data)
        if not reasons and min(_layers.image_shape(data)[1:]) < 4:
            reasons.append(f"images must be at least 4 × 4, {data.name} has {_layers.image_shape(data)[1:]}")
        return reasons

    def card(self, data: DataCard) -> ModelCard:
        channels, height, width = _layers.image_shape(data)
        half, quarter = (height // 2) * (width // 2), (height // 4) * (width // 4)
        layers = (
            _layers.conv("conv1", channels, self.channels_1, kernel=5, positions=height * width),
            _layers.conv("conv2", self.channels_1, self.channels_2, kernel=5, positions=half),
            _layers.linear("fc1", self.channels_2 * quarter, self.hidden),
            _layers.linear("fc2", self.hidden, data.num_classes),
        )
        return ModelCard(
            self.name(), data.task, data.inputs, _layers.logits(data), layers, _layers.count(layers),
            licence=self.licence, source=self.source,
        )  # fmt: skip

    def build(self, data: DataCard) -> nn.Module:
        from workbench.zoo._lenet import ConvolutionalLeNet

        widths = (self.channels_1, self.channels_2, self.hidden)
        return ConvolutionalLeNet(_layers.image_shape(data), widths, data.num_classes)
