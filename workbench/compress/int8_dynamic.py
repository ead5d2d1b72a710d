"""8-bit integer weights; activations are quantized while running, with the range of each batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.compress import _precision
from workbench.errors import WorkbenchError
from workbench.nouns import ModelCard, Quantization
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import nn

    from workbench.streamed import Streamed


class Int8Dynamic(Step):
    """Linear layers only: dynamically quantized convolutions were measured to be several times slower than fp32."""

    title = "int8, dynamic"
    source = "Jacob et al., arXiv 1712.05877, section 2.1; lowered by the format's own quantizer"
    precision = True

    per_channel: bool = param(True, help="One scale per output channel instead of one per layer")
    skip: list[str] = param([], help="Layers that stay float32")

    def why_not(self, card: ModelCard) -> list[str]:
        return _precision.why_not(card, ["linear"], self.skip)

    def preview(self, card: ModelCard) -> ModelCard:
        return _precision.preview(card, ["linear"], self.skip, layer="int8", model="int8 dynamic")

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Record how each linear layer is to be stored; the weights stay float until the format lowers them."""
        chosen = [name for name, weight in ctx.weights(model) if weight.ndim == 2 and name not in self.skip]
        how = Quantization("dynamic", "int8", "uint8", "channel" if self.per_channel else "tensor", kind="linear")
        for name in chosen:
            ctx.quantize(name, how)
        if not chosen:
            raise WorkbenchError("int8_dynamic found no linear layer", next_move="use int8_static for convolutions")
        return model

    def stream(self) -> Streamed | str:
        from workbench.compress import _streams

        if not self.per_channel:
            return "per_channel=False isn't known to the runtimes that read checkpoints"
        return _streams.Integers(8, None, dynamic_inputs=True, skip=self.skip)

    def describe(self) -> str:
        return "int8 dynamic"
