"""Train on with the rounding that int8 (or int4) files do, so that the weights learn to bear it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.compress import _activations, _precision
from workbench.errors import WorkbenchError
from workbench.extents import Extents
from workbench.nouns import ModelCard, Quantization
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import nn

KINDS = ("linear", "conv")
FREEZE_AFTER = 0.75  # share of the updates after which running statistics and ranges stay as they are


class Qat(Step):
    """Weights on their integer grid and inputs in 256 steps in every forward pass; gradients go straight through.

    Departures from the paper: what is rounded is each layer's input, not its output; batch normalisation is only folded
    where it matters (one scale per layer). Late in training running statistics and ranges are frozen. The formats that
    lower int8_static lower this with the ranges found here. Weights of 4 bits are half the bytes, computed in float32.
    """

    title = "Quantization-aware training"
    source = "Jacob et al., arXiv 1712.05877, section 3; learned ranges: Esser et al., arXiv 1902.08153"
    precision = True
    searched = {"bits": (8, 4), "ranges": ("observed", "learned")}

    bits: Literal[8, 4] = param(8, help="Width of a stored weight; inputs always have 8 bits", unit="bits")
    per_channel: bool = param(True, help="One weight scale per output channel instead of one per layer")
    ranges: Literal["observed", "learned"] = param(
        "observed", help="Ends of each layer's inputs: moving averages of what was seen, or trained with the weights"
    )
    epochs: int = param(5, help="Passes over the train split", unit="epochs", ge=1, le=10_000)
    batch_size: int = param(64, help="Examples in one update", unit="examples", ge=1, le=65_536)
    learning_rate: float = param(5e-4, help="Peak learning rate", gt=0, le=10)
    skip: list[str] = param([], help="Layers that stay float32")

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        return {"epochs": 1}

    def why_not(self, card: ModelCard) -> list[str]:
        reasons = _precision.why_not(card, KINDS, self.skip)
        if card.task == "unlabelled":
            reasons.append("trains on labels, and this data has none: use int8_static")
        return reasons

    @property
    def spreads(self) -> bool:
        return True

    def why_not_spread(self, extents: Extents) -> list[str]:
        if extents.data > extents.replicate or extents.tensor * extents.pipeline > 1:
            return ["its parametrized weights can't be split: use it under data_parallel"]
        return (
            ["ranges follow whole updates, pieces of one would move them twice: accumulate=1"]
            if extents.microbatches > 1
            else []
        )

    def preview(self, card: ModelCard) -> ModelCard:
        width = f"int{self.bits}"
        return _precision.preview(card, KINDS, self.skip, layer=width, model=f"{width} static")

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Train in place and record each layer with its ranges; weights are float numbers on the grid that formats round to."""
        from workbench.compress import _fake, _flow

        chosen = {name: weight.ndim for name, weight in ctx.weights(model) if name not in self.skip}
        if not chosen:
            raise WorkbenchError("qat found no layer to quantize", next_move="shorten skip, or drop the step")
        calibration = _activations.calibration(ctx, None, step="qat")
        norms = {} if self.per_channel else _flow.norms_behind(model, calibration)
        how = {"bits": self.bits, "per_channel": self.per_channel, "learned": self.ranges == "learned", "norms": norms}
        with _fake.faked(model, list(chosen), **how) as inputs:  # type: ignore[arg-type]
            _activations.passed(model, calibration, [])
            for each in inputs.values():
                each.collects = False
            ctx.train(
                model, epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate,
                on_batch=self._freeze(list(inputs.values()), len(ctx.data.train)),
            )  # fmt: skip
            ends = {name: tuple(each.ends.tolist()) for name, each in inputs.items() if each.seen}
            last = [name for name in ends if chosen[name] == 2]  # behind a convolution a normalisation may be folded in
            outputs = _fake.ranges(
                model, last, lambda hooks: _activations.passed(model, calibration, hooks), outputs=True
            )
        granularity: Literal["tensor", "channel"] = "channel" if self.per_channel else "tensor"
        for name, num_dimensions in chosen.items():
            record = Quantization(
                "static", f"int{self.bits}", "uint8", granularity, "minmax", len(calibration),
                "linear" if num_dimensions == 2 else "conv", bits=self.bits,
                input_range=ends.get(name), output_range=outputs.get(name),
            )  # fmt: skip
            ctx.quantize(name, record)
        return model

    def describe(self) -> str:
        return f"qat int{self.bits}"

    def _freeze(self, inputs: list[nn.Module], num_examples: int) -> Callable[[nn.Module, int], None]:
        """Return what to do after each update: from some point on, statistics and ranges stay."""
        from workbench.compress import _fake

        begin = max(1, round(FREEZE_AFTER * self.epochs * math.ceil(num_examples / self.batch_size)))

        def after(model: nn.Module, update: int) -> None:
            if update == begin:
                for module in (*model.modules(), *inputs):
                    if isinstance(module, _fake.NORM | _fake.FakeInput):
                        module.eval()

        return after
