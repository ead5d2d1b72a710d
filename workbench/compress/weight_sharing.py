"""Let the weights of a layer share a few values, and train those values."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from workbench.compress import _distillation, _precision
from workbench.errors import WorkbenchError
from workbench.extents import Extents
from workbench.nouns import ModelCard, Quantization
from workbench.params import did_you_mean, param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import nn

KINDS = ("linear", "conv")


class WeightSharing(Step):
    """k-means on each layer's non-zero weights; then a centroid's gradient is the sum of its weights' (eq. 3).

    Pruned weights stay exactly zero and are no cluster. Training goes through the codebooks, so a layer never holds more
    than `clusters` values beside zero; biases (shared too with `biases`) and norms train along, without weight decay on
    centroids. The format `coded` stores indices; all others store the shared values as float32 and say so (`simulated`).
    """

    title = "Weight sharing"
    source = "Han, Mao & Dally, arXiv 1510.00149, section 3, eq. 2 and 3; k-means++: Arthur & Vassilvitskii, SODA 2007"
    precision = True
    searched = {"clusters": (4, 8, 16, 32)}

    clusters: int = param(16, help="Values that a layer's weights share, zero not counted", ge=2, le=256)
    per_layer: dict[str, Annotated[int, Field(ge=2, le=256)]] = param({}, help="Clusters of single layers, by name")
    start: Literal["linear", "density", "kmeans++"] = param(
        "linear", help="First centroids: evenly from smallest to largest weight, by quantile, or drawn"
    )
    epochs: int = param(5, help="Training of the centroids; 0 = none", unit="epochs", ge=0, le=10_000)
    learning_rate: float = param(1e-3, help="Peak learning rate of the centroids", gt=0, le=10)
    biases: int = param(0, help="Values that a layer's biases share, zero not counted; 0 = each its own", ge=0, le=256)
    taught: bool = param(False, help="While centroids train, learn from the model as it was before sharing, too")
    skip: list[str] = param([], help="Layers that keep their own values")

    def why_not(self, card: ModelCard) -> list[str]:
        known = [layer.name for layer in card.layers if layer.prunable]
        strange = [
            f"per_layer: no layer {name!r}{did_you_mean(name, known)}" for name in self.per_layer if name not in known
        ]
        if self.taught and not self.epochs:
            strange.append("taught is about the training of the centroids, and epochs=0 trains none")
        if self.taught and card.task == "unlabelled":
            strange.append("taught learns from labels too, and this data has none")
        return [*strange, *_precision.why_not(card, KINDS, self.skip)]

    def why_not_spread(self, extents: Extents) -> list[str]:
        if not self.epochs:
            return []
        return ["its parametrized weights can't be split or synchronised: use epochs=0, or a job without a layout"]

    def preview(self, card: ModelCard) -> ModelCard:
        layers = tuple(
            replace(layer, precision=f"codebook{self._clusters(layer.name)}")
            if layer.kind in KINDS and layer.prunable and layer.name not in self.skip
            else layer
            for layer in card.layers
        )
        return card.with_layers(layers, precision="codebook")

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Share in place and record each layer; raises when no weight moved, or one is not finite."""
        from workbench.compress import _codebook

        chosen = {name: weight for name, weight in ctx.weights(model) if name not in self.skip}
        broken = [name for name, weight in chosen.items() if not bool(weight.isfinite().all())]
        if broken:
            raise WorkbenchError(
                f"weights of {', '.join(broken)} are NaN or infinite", next_move="lower the learning rate before it"
            )
        modules = {name: model.get_submodule(name) for name in chosen}
        teaching = {"loss": _distillation.from_itself(model)} if self.taught else {}
        num_moved = sum(
            _codebook.share(module, self._clusters(name), self.start, ctx.seed) for name, module in modules.items()
        )
        if not num_moved:
            raise WorkbenchError(
                "weight_sharing moved no weight: there are no more values than clusters",
                next_move="use fewer clusters or drop the step",
            )
        ctx.say(f"{num_moved} weights moved to a shared value")
        biased = [module for module in modules.values() if self.biases and module._parameters.get("bias") is not None]
        for module in biased:
            _codebook.share(module, self.biases, self.start, ctx.seed, name="bias")
        if self.epochs:
            ctx.train(model, epochs=self.epochs, learning_rate=self.learning_rate, **teaching)
        for module in biased:
            _codebook.untie(module, name="bias")
        for name, module in modules.items():
            _codebook.untie(module)
            ctx.quantize(name, Quantization("codebook", f"codebook{self._clusters(name)}", "float32"))
        return model

    def describe(self) -> str:
        return f"share {self.clusters}"

    def _clusters(self, layer: str) -> int:
        return self.per_layer.get(layer, self.clusters)
