"""Weights that are −α or α, and inputs that are signs where asked for: one bit each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.compress import _few_bits
from workbench.extents import Extents
from workbench.nouns import ModelCard, Quantization
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import nn


class Binary(Step):
    """Binary-Weight-Network with float inputs, XNOR-Network with `inputs=signs`; trained, gradients straight through.

    Signs of inputs come from a batch normalisation that each such layer gets in front, as in the paper's blocks; their mean
    size around each output scales it. Departures: what is padded counts as +1; pooling stays where it is.
    """

    title = "Binary weights"
    source = "Rastegari et al., arXiv 1603.05279 (BWN, XNOR-Net), eq. 6 and 11, section 3.2"
    precision = True

    inputs: Literal["float32", "signs"] = param(
        "float32", help="What the layers multiply by their signs: floats (BWN), or signs too (XNOR-Net)"
    )
    keep_ends: bool = param(True, help="The first and the last layer stay float32, as in the paper")
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
        both = self.inputs == "signs"
        return _few_bits.preview(card, names, self._how(), f"binary weights{' and inputs' if both else ''}")

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Train in place; the weights are then exactly ±α, whose signs the format stores."""
        from workbench.compress import _signs

        names = _few_bits.chosen([name for name, _ in ctx.weights(model)], self.skip, self.keep_ends)
        if self.inputs == "signs":
            for name, layer in [(name, _signs.with_signed_inputs(name, model.get_submodule(name))) for name in names]:
                model.set_submodule(name, layer)
        pace = {"epochs": self.epochs, "batch_size": self.batch_size, "learning_rate": self.learning_rate}
        _few_bits.train(model, ctx, names, _signs.Binary, **pace)
        _few_bits.record(model, ctx, names, self._how())
        return model

    def describe(self) -> str:
        return "xnor" if self.inputs == "signs" else "binary"

    def _how(self) -> Quantization:
        return Quantization("signs", "int1", "signs" if self.inputs == "signs" else "float32", "channel", bits=1)
