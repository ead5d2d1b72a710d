"""Weights that are −α, 0 or α, trained as such: two bits each."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.compress import _few_bits
from workbench.extents import Extents
from workbench.nouns import ModelCard, Quantization
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import nn


class Ternary(Step):
    """α and the threshold make ‖W − α T‖² about least; float weights are trained under them, gradients straight through.

    Three values hold log2 3 = 1.58 bits; files store two, and a scale for each output. What layers compute stays float32.
    """

    title = "Ternary weights"
    source = "Li, Zhang & Liu, arXiv 1605.04711 (TWN), eq. 5 and 6"
    precision = True

    per_channel: bool = param(False, help="A threshold and scale per output channel; the paper has one per layer")
    keep_ends: bool = param(True, help="The first and the last layer stay float32")
    epochs: int = param(10, help="Passes over the train split", unit="epochs", ge=1, le=10_000)
    batch_size: int = param(64, help="Examples in one update", unit="examples", ge=1, le=65_536)
    learning_rate: float = param(2e-3, help="Peak learning rate", gt=0, le=10)
    skip: list[str] = param([], help="Layers that stay float32")

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        return {"epochs": 1}

    def why_not(self, card: ModelCard) -> list[str]:
        return _few_bits.why_not(card, self.skip, self.keep_ends)

    def why_not_spread(self, extents: Extents) -> list[str]:
        return ["its parametrized weights can't be split or synchronised: use it in a job without a layout"]

    def preview(self, card: ModelCard) -> ModelCard:
        names = [layer.name for layer in _few_bits.of_card(card, self.skip, self.keep_ends)]
        return _few_bits.preview(card, names, self._how(), "ternary weights")

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Train in place; the weights are then exactly on their grid, which the format stores."""
        from workbench.compress import _signs

        names = _few_bits.chosen([name for name, _ in ctx.weights(model)], self.skip, self.keep_ends)
        made = partial(_signs.Ternary, per_channel=self.per_channel)
        pace = {"epochs": self.epochs, "batch_size": self.batch_size, "learning_rate": self.learning_rate}
        _few_bits.train(model, ctx, names, made, **pace)
        _few_bits.record(model, ctx, names, self._how())
        return model

    def describe(self) -> str:
        return "ternary"

    def _how(self) -> Quantization:
        granularity = "channel" if self.per_channel else "tensor"
        return Quantization("signs", "int2", "float32", granularity, bits=2)  # type: ignore[arg-type]
