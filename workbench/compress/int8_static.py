"""8-bit integer weights and activations; the activations' ranges are fixed beforehand on calibration examples."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from workbench.compress import _activations, _precision
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
    steps: compare `percentile`, `mse`, smooth_quant and int8_dynamic there. Formats find ranges themselves, but for `mse`.
    """

    title = "int8, static"
    source = (
        "Jacob et al., arXiv 1712.05877, section 2; calibration by entropy: Migacz, GTC 2017 (8-bit inference); "
        "equalisation and bias correction: Nagel et al., arXiv 1906.04721, sections 4.1 and 4.2"
    )
    precision = True
    searched = {"calibration": ("minmax", "percentile", "entropy", "mse"), "keep_float": (0, 1, 2)}

    per_channel: bool = param(True, help="One weight scale per output channel instead of one per layer")
    calibration: Literal["minmax", "percentile", "entropy", "mse"] = param(
        "minmax", help="How activation ranges are chosen; mse: least squared error of each layer's inputs"
    )
    num_calibration: int | None = param(
        None, help="Examples of the calibration split to use; none = all", unit="examples", ge=1, le=1_000_000
    )
    equalise: bool = param(False, help="First give neighbouring layers' weights equal ranges, channel by channel")
    correct_bias: bool = param(False, help="Take the mean error of rounded weights out of the biases")
    keep_float: int = param(
        0, help="This many layers stay float32: those that alone harm the outputs most", unit="layers", ge=0, le=1000
    )
    skip: list[str] = param([], help="Layers that stay float32")

    def why_not(self, card: ModelCard) -> list[str]:
        reasons = _precision.why_not(card, KINDS, self.skip)
        left = [each for each in card.layers if each.kind in KINDS and each.prunable and each.name not in self.skip]
        if left and self.keep_float >= len(left):
            reasons.append(f"keep_float={self.keep_float} leaves none of {len(left)} layers to quantize")
        return reasons

    def preview(self, card: ModelCard) -> ModelCard:
        after = _precision.preview(card, KINDS, self.skip, layer="int8", model="int8 static")
        if not self.keep_float:
            return after
        note = f"{self.keep_float} of the int8 layers will stay float32; which ones is known once int8_static has run"
        return replace(after, notes=(*after.notes, note))

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Record how each layer is to be stored; the format rounds the weights, and measures what no step has measured."""
        num_calibration = self._num_examples(len(ctx.data.calibration))
        dimensions = {name: weight.ndim for name, weight in ctx.weights(model) if name not in self.skip}
        if len(dimensions) <= self.keep_float:
            raise WorkbenchError(
                "int8_static found no layer to quantize", next_move="shorten skip, lower keep_float, or drop the step"
            )
        ranges = self._prepared(model, ctx, dimensions)
        granularity: Literal["tensor", "channel"] = "channel" if self.per_channel else "tensor"
        for name, num_dimensions in dimensions.items():
            kind = "linear" if num_dimensions == 2 else "conv"
            how = Quantization(
                "static", "int8", "uint8", granularity, self.calibration, num_calibration, kind,
                input_range=ranges.get(name), bias_corrected=self.correct_bias,
            )  # fmt: skip
            ctx.quantize(name, how)
        return model

    def _prepared(self, model: nn.Module, ctx: Context, chosen: dict[str, int]) -> dict[str, tuple[float, float]]:
        """Do to the float model what was asked for, take the layers that stay float out of `chosen`, return input ranges."""
        if not (self.equalise or self.correct_bias or self.keep_float or self.calibration == "mse"):
            return {}
        from workbench.compress import _equalise, _flow, _static

        examples = _activations.calibration(ctx, self.num_calibration, step="int8_static")
        norms = (
            _flow.norms_behind(model, examples) if self.equalise or not self.per_channel or self.correct_bias else {}
        )
        if self.equalise:
            ctx.say(f"equalised {_equalise.equalise(model, list(chosen), examples, norms)} pairs of layers")
        called = _activations.called(model, list(chosen), examples)
        if self.keep_float:
            how = {"per_channel": self.per_channel, "norms": norms, "count": self.keep_float}
            kept = _static.most_sensitive(model, called, examples, ctx, **how)  # type: ignore[arg-type]
            ctx.say(f"kept in float32: {', '.join(kept)}")
            for name in kept:
                del chosen[name]
            called = [name for name in called if name in chosen]
        if self.correct_bias:
            _static.correct_biases(model, called, examples, per_channel=self.per_channel, norms=norms)
        return _static.least_error_ranges(model, called, examples) if self.calibration == "mse" else {}

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
