"""8-bit integer weights and activations; the activations' ranges are fixed beforehand on calibration examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workbench.compress import _precision
from workbench.errors import WorkbenchError
from workbench.nouns import ModelCard, Quantization
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import nn

KINDS = ("linear", "conv")


class Int8Static(Step):
    """x ≈ scale · (q − zero point), eq. 1 of the paper; weights symmetric, activations from their calibrated range.

    Convolutions gain most. On transformers a few activations are so large that `minmax` leaves the rest few of the 256
    steps: compare `percentile` and int8_dynamic there.
    """

    title = "int8, static"
    source = "Jacob et al., arXiv 1712.05877, section 2; calibration by entropy: Migacz, GTC 2017 (8-bit inference)"
    precision = True
    searched = {"calibration": ("minmax", "percentile", "entropy")}

    per_channel: bool = param(True, help="One weight scale per output channel instead of one per layer")
    calibration: Literal["minmax", "percentile", "entropy"] = param("minmax", help="How activation ranges are chosen")
    num_calibration: int | None = param(
        None, help="Examples of the calibration split to use; none = all", unit="examples", ge=1, le=1_000_000
    )
    skip: list[str] = param([], help="Layers that stay float32")

    def why_not(self, card: ModelCard) -> list[str]:
        return _precision.why_not(card, KINDS, self.skip)

    def preview(self, card: ModelCard) -> ModelCard:
        return _precision.preview(card, KINDS, self.skip, layer="int8", model="int8 static")

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Record how each layer is to be stored; the format measures the ranges and lowers the weights."""
        num_calibration = self._num_examples(len(ctx.data.calibration))
        granularity: Literal["tensor", "channel"] = "channel" if self.per_channel else "tensor"
        chosen = [(name, weight.ndim) for name, weight in ctx.weights(model) if name not in self.skip]
        for name, num_dimensions in chosen:
            kind = "linear" if num_dimensions == 2 else "conv"
            how = Quantization("static", "int8", "uint8", granularity, self.calibration, num_calibration, kind)
            ctx.quantize(name, how)
        if not chosen:
            raise WorkbenchError("int8_static found no layer to quantize", next_move="shorten skip, or drop the step")
        return model

    def describe(self) -> str:
        return "int8 static"

    def _num_examples(self, available: int) -> int:
        if self.num_calibration is None:
            return available
        if self.num_calibration > available:
            raise WorkbenchError(
                f"int8_static was to calibrate on {self.num_calibration} examples, the calibration split has {available}",
                next_move=f"num_calibration={available}, or none for all",
            )
        return self.num_calibration
