"""16-bit weights: float32 with the last 16 bits of the mantissa rounded away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.compress import _precision
from workbench.errors import WorkbenchError
from workbench.nouns import ModelCard, Quantization
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import nn

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
        return _precision.preview(card, KINDS, self.skip, layer="bfloat16", model="bfloat16")

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Record the cast of each layer; the format stores it."""
        chosen = [(name, weight.ndim) for name, weight in ctx.weights(model) if name not in self.skip]
        for name, num_dimensions in chosen:
            kind = "linear" if num_dimensions == 2 else "conv"
            ctx.quantize(name, Quantization("cast", "bfloat16", "bfloat16", kind=kind))
        if not chosen:
            raise WorkbenchError("bfloat16 found no layer to cast", next_move="shorten skip, or drop the step")
        return model

    def describe(self) -> str:
        return "bf16"
