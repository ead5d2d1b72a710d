"""16-bit weights: float32 with the last 16 bits of the mantissa rounded away."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.compress import _precision
from workbench.errors import WorkbenchError
from workbench.nouns import ModelCard, Quantization
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import nn

    from workbench.streamed import Streamed

KINDS = ("linear", "conv")


class Bfloat16(Step):
    """Weights are stored and multiplied in bfloat16; the model's inputs and outputs, and layers in `skip`, stay float32.

    The range is float32's, so nothing needs calibration; a weight moves by at most 2⁻⁸ of itself.
    """

    title = "bfloat16"
    source = "Kalamkar et al., arXiv 1905.12322 (A study of BFLOAT16 for deep learning training)"
    precision = True

    skip: list[str] = param([], help="Layers that stay float32")

    def why_not(self, card: ModelCard) -> list[str]:
        return _precision.why_not(card, KINDS, self.skip)

    def preview(self, card: ModelCard) -> ModelCard:
        layers = tuple(
            layer if layer.name in self.skip else replace(layer, precision="bfloat16") for layer in card.layers
        )
        return card.with_layers(layers, precision="bfloat16")

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Record the cast of every weight matrix, embeddings and shared ones too; norms and biases go with the model."""
        matrices = [
            name for name, module in model.named_modules() if getattr(module._parameters.get("weight"), "ndim", 0) >= 2
        ]
        chosen = [name for name in matrices if name not in self.skip]
        for name in chosen:
            ctx.quantize(name, Quantization("cast", "bfloat16", "bfloat16"))
        if not chosen:
            raise WorkbenchError("bfloat16 found no layer to cast", next_move="shorten skip, or drop the step")
        return model

    def stream(self) -> Streamed | str:
        from workbench.compress import _streams

        return "skip must be empty: a checkpoint is loaded in one dtype" if self.skip else _streams.Cast()

    def describe(self) -> str:
        return "bf16"
