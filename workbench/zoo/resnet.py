"""ResNet as in transformers, from 8 to 50 layers, for pictures from 8 × 8 up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from workbench.nouns import DataCard, Layer, ModelCard
from workbench.params import param
from workbench.part import Model
from workbench.zoo import _layers, _residual

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

STAGES = {  # residual blocks in each stage; a basic block has two convolutions, a bottleneck (depth 50) three
    8: (1, 1, 1), 10: (1, 1, 1, 1), 14: (1, 1, 2, 2), 18: (2, 2, 2, 2),
    26: (3, 3, 3, 3), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3),
}  # fmt: skip
SMALLEST = 32  # the stem and the stages halve five times: below this only single pixels would be left


class Resnet(Model):
    """Pictures under 32 × 32 are enlarged inside the model: as they come, their maps would shrink to one pixel."""

    title = "ResNet"
    source = "He, Zhang, Ren & Sun, arXiv 1512.03385, as in transformers; depths under 18 have fewer blocks"
    licence = "Apache-2.0 (transformers)"

    depth: Literal[8, 10, 14, 18, 26, 34, 50] = param(18, help="Weighted layers on the main path")
    width: int | None = param(
        None,
        help="Channels of the first stage; none = 64 as published, 16 below depth 18",
        unit="channels",
        ge=4,
        le=128,
    )

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        return {"depth": 8}

    def why_not(self, data: DataCard) -> list[str]:
        return _layers.not_images(self, data)

    def card(self, data: DataCard) -> ModelCard:
        layers = self._layers(data)
        return ModelCard(
            self.name(), data.task, data.inputs, _layers.logits(data), layers, _layers.count(layers),
            licence=self.licence, source=self.source, library="transformers",
        )  # fmt: skip

    def build(self, data: DataCard) -> nn.Module:
        from transformers import ResNetConfig, ResNetForImageClassification

        from workbench.zoo._wrapped import TRANSFORMERS_NAMES, FitImages, Wrapped

        channels, *size = _layers.image_shape(data)
        config = ResNetConfig(num_channels=channels, **self._plan())
        config.num_labels = data.num_classes
        seen = self._seen_size(data)
        fit = FitImages(size=seen) if list(seen) != size else None
        return Wrapped(ResNetForImageClassification(config), ["pixels"], renamed=TRANSFORMERS_NAMES, fit=fit)

    def _plan(self) -> dict[str, Any]:
        width = self.width or (64 if self.depth >= 18 else 16)
        bottleneck = self.depth == 50
        return {
            "embedding_size": width,
            "hidden_sizes": [(width << stage) * (4 if bottleneck else 1) for stage in range(len(STAGES[self.depth]))],
            "depths": list(STAGES[self.depth]),
            "layer_type": "bottleneck" if bottleneck else "basic",
        }

    def _seen_size(self, data: DataCard) -> tuple[int, int]:
        """Return the height and width that the first convolution sees."""
        _, height, width = _layers.image_shape(data)
        return max(height, SMALLEST), max(width, SMALLEST)

    def _layers(self, data: DataCard) -> tuple[Layer, ...]:
        channels = _layers.image_shape(data)[0]
        return _residual.layers(
            self._plan(), channels=channels, size=self._seen_size(data), num_classes=data.num_classes
        )
