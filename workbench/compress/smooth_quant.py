"""Move large activations into the weights that read them, so that both fit into 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.compress import _activations, _precision
from workbench.errors import WorkbenchError
from workbench.nouns import ModelCard
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import Tensor, nn

    from workbench.streamed import Streamed


class SmoothQuant(Step):
    """Input j of the layers is divided by s_j = max |X_j|^α / max |W_j|^(1 − α), and their weights multiplied by it.

    The division is folded into what makes the input, so it costs nothing and changes no answer: a normalisation, or a layer
    behind ReLU and pooling. Where others read the input too (a residual sum after normalising, as in BERT) or something
    that isn't linear lies between (GELU), nothing moves. For int8_static and int8_dynamic, put it before them.
    """

    title = "SmoothQuant"
    source = "Xiao et al., arXiv 2211.10438, eq. 4"
    couples = True

    alpha: float = param(
        0.5, help="How much of the activations' range moves into the weights: 0 none, 1 all", ge=0, le=1
    )
    num_calibration: int | None = param(
        None, help="Examples of the calibration split to use; none = all", unit="examples", ge=1, le=1_000_000
    )
    skip: list[str] = param([], help="Layers whose inputs stay as they are")

    def why_not(self, card: ModelCard) -> list[str]:
        return _precision.why_not(card, ["linear", "conv"], self.skip)

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Move factors in place; raises when there is no place where they can move."""
        import torch

        from workbench.compress import _flow

        examples = _activations.calibration(ctx, self.num_calibration, step="smooth_quant")
        names = [name for name, _ in ctx.weights(model) if name not in self.skip]
        places, moved = _flow.feeds(model, examples, names), 0
        for feed in places:
            sizes = _activations.of_channels(model, feed.users, examples, repeat=feed.repeat, largest=True)
            weights = torch.stack([_largest_weights(model, name, feed.repeat) for name in feed.users]).amax(0)
            usable = (sizes > 0) & (weights > 0) & sizes.isfinite()
            factors = torch.where(usable, sizes**self.alpha / weights ** (1 - self.alpha), torch.ones_like(sizes))
            _flow.move(model, feed, factors)
            moved += len(feed.users)
        if not moved:
            raise WorkbenchError(
                "smooth_quant found no layer whose input is made by a normalisation or layer that only such layers read",
                next_move="drop the step, or compare int8_static calibration=percentile",
            )
        ctx.say(f"smoothed the inputs of {moved} layers, folded into {len(places)} places before them")
        return model

    def stream(self) -> Streamed | str:
        from workbench.compress import _streams

        return _streams.Calibrated(self.skip)

    def describe(self) -> str:
        return f"smooth {self.alpha:g}"


def _largest_weights(model: nn.Module, layer: str, repeat: int) -> Tensor:
    from workbench.compress import _flow

    weight = model.get_submodule(layer).get_parameter("weight").detach()
    return _flow.input_columns(weight, repeat).abs().amax(0)
