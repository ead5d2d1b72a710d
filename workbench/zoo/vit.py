"""Vision transformer as in transformers, sized to small pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from workbench.nouns import DataCard, Layer, ModelCard
from workbench.params import param
from workbench.part import Model
from workbench.zoo import _layers

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn


class Vit(Model):
    """Patches follow the picture: none = about an eighth of it across, two pixels at least."""

    title = "Vision transformer"
    source = "Dosovitskiy et al., arXiv 2010.11929, as in transformers"
    licence = "Apache-2.0 (transformers)"

    layers: int = param(4, help="Transformer layers", unit="layers", ge=1, le=48)
    width: int = param(64, help="Size of a token's vector, a multiple of heads", unit="units", ge=8, le=2048)
    heads: int = param(4, help="Attention heads", unit="heads", ge=1, le=32)
    ffn_ratio: int = param(2, help="Width of the feed-forward layer over `width`", ge=1, le=8)
    patch: int | None = param(
        None, help="Height and width of a patch; none = by the picture's size", unit="pixels", ge=1, le=64
    )

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        return {"layers": 1, "width": 32}

    def why_not(self, data: DataCard) -> list[str]:
        reasons = _layers.not_images(self, data)
        if not reasons:
            _, height, width = _layers.image_shape(data)
            patch = self._patch(data)
            if height % patch or width % patch:
                reasons.append(f"patch={patch} does not divide {data.name}'s {height} × {width} pictures")
        if self.width % self.heads:
            reasons.append(f"width={self.width} is not a multiple of heads={self.heads}")
        return reasons

    def card(self, data: DataCard) -> ModelCard:
        layers = self._layers(data)
        return ModelCard(
            self.name(), data.task, data.inputs, _layers.logits(data), layers, _layers.count(layers),
            licence=self.licence, source=self.source, library="transformers",
        )  # fmt: skip

    def build(self, data: DataCard) -> nn.Module:
        from transformers import ViTConfig, ViTForImageClassification

        from workbench.zoo._wrapped import TRANSFORMERS_NAMES, Wrapped

        channels, height, width = _layers.image_shape(data)
        config = ViTConfig(
            image_size=height if height == width else (height, width), patch_size=self._patch(data), num_channels=channels,
            hidden_size=self.width, num_hidden_layers=self.layers, num_attention_heads=self.heads,
            intermediate_size=self.width * self.ffn_ratio,
        )  # fmt: skip
        config.num_labels = data.num_classes
        return Wrapped(ViTForImageClassification(config), ["pixels"], renamed=TRANSFORMERS_NAMES)

    def _patch(self, data: DataCard) -> int:
        """Return the given patch, or the largest that divides the picture up to an eighth of it (or two pixels)."""
        _, height, width = _layers.image_shape(data)
        if self.patch is not None:
            return self.patch
        across = math.gcd(height, width)
        return max(patch for patch in range(1, max(2, across // 8) + 1) if across % patch == 0)

    def _layers(self, data: DataCard) -> tuple[Layer, ...]:
        channels, height, width = _layers.image_shape(data)
        patch, size = self._patch(data), self.width
        num_patches = (height // patch) * (width // patch)
        tokens = num_patches + 1  # and one that stands for the class
        start = "inner.vit.embeddings"
        layers = [
            Layer(start, "other", (), (tokens + 1) * size, macs=0, prunable=False),  # class token, positions
            _layers.conv(f"{start}.patch_embeddings.projection", channels, size, kernel=patch, positions=num_patches),
        ]
        for index in range(self.layers):
            name = f"inner.vit.layers.{index}"
            pieces = ("q_proj", "k_proj", "v_proj", "o_proj")
            head = size // self.heads
            layers += [
                _layers.linear(f"{name}.attention.{piece}", size, size, positions=tokens, head_width=head)
                for piece in pieces
            ]
            layers += [_layers.norm(f"{name}.layernorm_before", size), _layers.norm(f"{name}.layernorm_after", size)]
            wide = size * self.ffn_ratio
            layers += [_layers.linear(f"{name}.mlp.fc1", size, wide, positions=tokens)]
            layers += [_layers.linear(f"{name}.mlp.fc2", wide, size, positions=tokens)]
        layers += [
            _layers.norm("inner.vit.layernorm", size),
            _layers.linear("inner.classifier", size, data.num_classes),
        ]
        return tuple(layers)
