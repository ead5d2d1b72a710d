"""Integer weights of few bits, one scale per group of inputs; what the layers multiply stays float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from workbench.compress import _activations, _precision
from workbench.errors import WorkbenchError
from workbench.nouns import Layer, ModelCard, Quantization
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import Tensor, nn

    from workbench.streamed import Streamed


class WeightOnly(Step):
    """Linear layers. weight = (integer − zero point) · scale; the format stores the integers packed, bit by bit.

    The last group of a row may be short. Symmetric grids have 2^bits levels around zero, which is one of them.
    """

    title = "Weights in 8, 4, 3 or 2 bits"
    source = (
        "rtn: Jacob et al., arXiv 1712.05877, eq. 1, per group; gptq: Frantar et al., arXiv 2210.17323, algorithm 1; "
        "hqq: Badri & Shaji 2023; awq: Lin et al., arXiv 2306.00978, section 3.2"
    )
    precision = True
    searched = {"bits": (8, 4, 3, 2), "method": ("rtn", "gptq", "hqq", "awq")}

    bits: Literal[8, 4, 3, 2] = param(4, help="Width of a stored weight", unit="bits")
    group_size: Literal[16, 32, 64, 128, 256] | None = param(
        32, help="Input weights that share a scale; none = all of an output channel", unit="weights"
    )
    symmetric: bool = param(True, help="Levels lie around zero; else each group stores a zero point too")
    method: Literal["rtn", "gptq", "hqq", "awq"] = param(
        "rtn",
        help="rtn rounds to nearest; gptq lets later inputs make up for each rounding, on calibration examples; "
        "hqq moves zero points between the integers until most weights fit well, without data; awq first scales up the weights "
        "that meet large activations, and what makes those down",
    )
    act_order: bool = param(False, help="gptq: round the inputs with the largest activations first")
    damping: float = param(0.01, help="gptq: added to the Hessian's diagonal, over its mean", ge=1e-6, le=1.0)
    num_calibration: int | None = param(
        None, help="gptq, awq: calibration examples to use; none = all", unit="examples", ge=1, le=1_000_000
    )
    search_range: bool = param(False, help="Narrow each group's range to where the squared error is least")
    skip: list[str] = param([], help="Layers that stay float32")

    def why_not(self, card: ModelCard) -> list[str]:
        reasons = _precision.why_not(card, ["linear"], self.skip)
        if self.method == "hqq" and self.symmetric:
            reasons.append("method=hqq finds zero points, and a symmetric grid has none: symmetric=False")
        if self.method == "hqq" and self.bits == 8:
            reasons.append("method=hqq is for 4 bits and fewer: kernels know no float zero points at 8")
        return reasons

    def preview(self, card: ModelCard) -> ModelCard:
        group = f"group {self.group_size}" if self.group_size else "per channel"
        model = f"int{self.bits} weights, {group}{self._zeros()}"
        after = _precision.preview(card, ["linear"], self.skip, layer=f"int{self.bits}", model=model)
        return after.with_layers(tuple(map(self._with_bytes, card.layers, after.layers)))

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Move each linear layer's weight onto its grid, which the format then stores."""
        chosen = [(name, weight) for name, weight in ctx.weights(model) if weight.ndim == 2 and name not in self.skip]
        if not chosen:
            raise WorkbenchError("weight_only found no linear layer", next_move="shorten skip, or drop the step")
        for name, weight in chosen:
            _check(name, model.get_submodule(name), weight)
        if self.method == "awq":
            from workbench.compress import _awq

            examples = _activations.calibration(ctx, self.num_calibration, step="weight_only")
            num_scaled = _awq.scale(model, [name for name, _ in chosen], examples, self._rounded)
            ctx.say(f"scaled the inputs of {num_scaled} of {len(chosen)} layers")
        for index, (name, weight) in enumerate(chosen):
            ctx.say(name, done=index, total=len(chosen), unit="layers")
            ctx.quantize(name, self._on_grid(weight, partial(self._hessian, model, name, ctx)))
        return model

    def stream(self) -> Streamed | str:
        from workbench.compress import _streams

        if self.method == "hqq":
            return "method=hqq makes zero points between integers, and no checkpoint format holds such"
        return _streams.Integers(
            self.bits, self.group_size, symmetric=self.symmetric, search=self.search_range, skip=self.skip,
            calibrated=self.method != "rtn",
        )  # fmt: skip

    def describe(self) -> str:
        return f"int{self.bits} {self.method}"

    def _zeros(self) -> str:
        if self.symmetric:
            return ""
        return ", float zero points" if self.method == "hqq" else ", zero points"

    def _how(self) -> Quantization:
        return Quantization(
            "weight_only", f"int{self.bits}", "float32", "channel", kind="linear",
            bits=self.bits, group_size=self.group_size, symmetric=self.symmetric,
            float_zeros=self.method == "hqq",
        )  # fmt: skip

    def _on_grid(self, weight: Tensor, hessian: Callable[[], Tensor]) -> Quantization:
        """Return how the weight is stored, which then lies exactly there."""
        from workbench.compress import _gptq, _grid, _hqq

        how, given = self._how(), weight.detach()
        ranges = self._ranges
        if self.method == "gptq":
            order = _gptq.Order(self.group_size, self.act_order, self.damping)
            integers, scales, zeros = _gptq.solve(given, hessian(), ranges, bits=self.bits, order=order)
        else:
            scales, zeros = ranges(_grid.grouped(given, self.group_size))
            if self.method == "hqq":
                zeros = _hqq.zeros(given, scales, zeros, bits=self.bits, group_size=self.group_size)
            wide = [_grid.spread(each, given, self.group_size) for each in (scales, zeros)]
            integers = _grid.rounded(given, wide[0], wide[1], self.bits)
        return replace(how, grid=_grid.place(weight, integers, scales, zeros, how))

    def _ranges(self, groups: Tensor) -> tuple[Tensor, Tensor]:
        from workbench.compress import _rtn

        return _rtn.of_groups(groups, bits=self.bits, symmetric=self.symmetric, search=self.search_range)

    def _rounded(self, weight: Tensor) -> Tensor:
        """Return the weight rounded to nearest on the grid that it would get."""
        from workbench.compress import _grid

        wide = [
            _grid.spread(each, weight, self.group_size) for each in self._ranges(_grid.grouped(weight, self.group_size))
        ]
        return (_grid.rounded(weight, wide[0], wide[1], self.bits) - wide[1]) * wide[0]

    def _hessian(self, model: nn.Module, name: str, ctx: Context) -> Tensor:
        examples = _activations.calibration(ctx, self.num_calibration, step="weight_only")
        return _activations.reduced(model, name, examples, _activations.gram)[0]

    def _with_bytes(self, before: Layer, layer: Layer) -> Layer:
        if layer.precision == before.precision:
            return layer
        outputs, inputs = layer.weight_shape
        return replace(layer, packed_bytes=self._how().packed_bytes(outputs, inputs))


def _check(name: str, layer: nn.Module, weight: Tensor) -> None:
    import torch

    if not isinstance(layer, torch.nn.Linear):
        raise WorkbenchError(
            f"{name} is a {type(layer).__name__}, which stores its weight the other way round",
            next_move=f"skip={name}, or use int8_dynamic",
        )
    if not bool(torch.isfinite(weight).all()):
        raise WorkbenchError(f"{name} holds NaN or infinity", next_move="train again with a smaller learning rate")
