"""8-bit floating-point weights with one scale per output; data-free, and what many runtimes of large models read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.compress import _precision
from workbench.errors import WorkbenchError
from workbench.nouns import Layer, ModelCard, Quantization
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import nn

    from workbench.streamed import Streamed

DTYPE, PRECISION = "float8_e4m3fn", "float8 weights"
SCALE_BYTES = 4  # of an output, float32


class Fp8(Step):
    """Linear layers. weight = number · scale; numbers are E4M3 (four bits of exponent, three of mantissa).

    A weight moves by at most 1/16 of itself, unless it is 2¹⁴ times smaller than the largest of its output: so outliers
    cost the others nothing, as they do on a grid of integers, and weights without outliers lose more than in int8.
    """

    title = "8-bit floats (fp8)"
    source = "E4M3: Micikevicius et al., arXiv 2209.05433, section 3; a scale per output as compressed-tensors has it"
    precision = True

    dynamic_inputs: bool = param(
        False, help="Of checkpoints: runtimes that have such kernels round inputs to fp8 too, token by token"
    )
    skip: list[str] = param([], help="Layers that stay float32")

    def why_not(self, card: ModelCard) -> list[str]:
        reasons = _precision.why_not(card, ["linear"], self.skip)
        if self.dynamic_inputs:
            reasons.append("no format here rounds inputs to fp8; dynamic_inputs=True is for `workbench shrink`")
        return reasons

    def preview(self, card: ModelCard) -> ModelCard:
        after = _precision.preview(card, ["linear"], self.skip, layer=DTYPE, model=PRECISION)
        return after.with_layers(tuple(map(_with_bytes, after.layers)))

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Record how each linear layer is to be stored; the weights stay float until the format rounds them."""
        import torch

        chosen = [name for name, weight in ctx.weights(model) if weight.ndim == 2 and name not in self.skip]
        if not chosen:
            raise WorkbenchError("fp8 found no linear layer", next_move="shorten skip, or drop the step")
        for name in chosen:
            layer = model.get_submodule(name)
            if not isinstance(layer, torch.nn.Linear):
                raise WorkbenchError(
                    f"{name} is a {type(layer).__name__}, which stores its weight the other way round",
                    next_move=f"skip={name}, or use int8_dynamic",
                )
            ctx.quantize(name, Quantization("float8", DTYPE, "float32", "channel", kind="linear"))
        return model

    def stream(self) -> Streamed | str:
        from workbench.compress import _streams

        return _streams.Floats(dynamic_inputs=self.dynamic_inputs, skip=self.skip)

    def describe(self) -> str:
        return "fp8"


def _with_bytes(layer: Layer) -> Layer:
    if layer.precision != DTYPE:
        return layer
    return replace(layer, packed_bytes=layer.num_weights + SCALE_BYTES * layer.weight_shape[0])
