"""Replace each linear layer by two thin ones whose product is nearly the same: fewer weights and operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.compress import _activations, _factors, _rows, _zeros
from workbench.errors import WorkbenchError
from workbench.nouns import Examples, Layer, ModelCard
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import nn

    from workbench.streamed import Streamed


class LowRank(Step):
    """W (m × n) becomes B A with rank ⌊(1 − ratio) · m n / (m + n)⌋, so the two always hold fewer weights than W.

    `activation_aware` truncates the SVD of W S with S Sᵀ = X Xᵀ over calibration inputs X: of all matrices of that rank,
    the outputs move least. Departures: X is what the layers split before give, S is damped by 1e-6 of the mean square,
    and no fine-tuning follows: add a train step. Convolutions stay. Layer `fc` becomes `fc.0` and `fc.1`. A narrow layer,
    such as one of ten classes, keeps few ranks and loses most: name it in skip, it holds few weights anyway.
    """

    title = "Low-rank layers"
    source = "truncation-aware whitening: Wang et al., arXiv 2403.07378 (SVD-LLM); plain: truncated SVD"
    searched = {"ratio": (0.25, 0.5, 0.75)}

    ratio: float = param(0.5, help="Share of each linear layer's weights to be rid of, at least", gt=0, lt=1)
    activation_aware: bool = param(True, help="Keep the outputs on calibration inputs, not the weights themselves")
    num_calibration: int | None = param(
        None, help="Examples of the calibration split to use; none = all", unit="examples", ge=1, le=1_000_000
    )
    skip: list[str] = param([], help="Layers that stay whole")

    def why_not(self, card: ModelCard) -> list[str]:
        reasons = _zeros.unknown_layers(card, self.skip)
        if card.precision != "float32":
            reasons.append(f"weights are already {card.precision}: split layers before that is decided")
        ranks = {layer.name: self._rank(layer) for layer in card.layers if self._is_meant(layer)}
        if not ranks:
            reasons.append("no linear layer left to split")
        elif not any(ranks.values()):
            reasons.append(f"no layer is large enough to be split at ratio={self.ratio:g}: lower it")
        pruned = [layer.name for layer in card.layers if ranks.get(layer.name) and layer.density < 1]
        if pruned:
            reasons.append(f"the zeros of {', '.join(pruned)} would be lost: prune after low_rank")
        return reasons

    def preview(self, card: ModelCard) -> ModelCard:
        """Return the card with two layers in the place of one; exact."""
        layers: list[Layer] = []
        for layer in card.layers:
            rank = self._rank(layer) if self._is_meant(layer) else 0
            layers += _factors.split(layer, rank) if rank else [layer]
        return card.with_layers(tuple(layers), structure="reshaped")

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Split in place; raises when no layer is large enough, or a layer is not called as a module."""
        import torch

        examples = _activations.calibration(ctx, self.num_calibration, step="low_rank")
        rows = {name: _rows.as_rows(model, name)[0] for name in self._chosen(model, ctx)}
        ranks = {name: _factors.rank_of(weight.shape[0], weight.shape[1], self.ratio) for name, weight in rows.items()}
        names = [name for name, rank in ranks.items() if rank]
        if not names:
            raise WorkbenchError(
                "low_rank found no layer to split", next_move="lower ratio, shorten skip, or drop the step"
            )
        order = self._in_order(model, names, examples)
        for done, name in enumerate(order):
            ctx.say(f"splitting {name} at rank {ranks[name]}", done=done, total=len(order), unit="layers")
            gram = _activations.reduced(model, name, examples, _activations.gram)[0] if self.activation_aware else None
            _factors.put_in_place(model, name, *_factors.factors(rows[name], ranks[name], gram))
        device = next(model.parameters()).device
        few = examples.take(slice(0, 2)).inputs.items()
        _factors.check_forward(model, {key: torch.from_numpy(array).to(device) for key, array in few})
        ctx.say(", ".join(f"{name} rank {ranks[name]}" for name in order))
        return model

    def stream(self) -> Streamed | str:
        return (
            "low_rank makes two matrices of one, and no runtime reads such a checkpoint: transformers would open it with random "
            "weights in their place; use it in a recipe, or fp8 or weight_only here"
        )

    def describe(self) -> str:
        return f"low rank −{self.ratio:.0%}"

    def _is_meant(self, layer: Layer) -> bool:
        return layer.prunable and layer.kind == "linear" and layer.name not in self.skip

    def _rank(self, layer: Layer) -> int:
        return _factors.rank_of(*_rows.row_shape(layer), self.ratio)

    def _chosen(self, model: nn.Module, ctx: Context) -> list[str]:
        return [name for name, weight in ctx.weights(model) if weight.ndim == 2 and name not in self.skip]

    def _in_order(self, model: nn.Module, names: list[str], examples: Examples) -> list[str]:
        """Return the layers as they are called; raises when one isn't, for somebody else reads its weight then."""
        order = _activations.called(model, names, examples)
        if unseen := [name for name in names if name not in order]:
            raise WorkbenchError(
                f"{', '.join(unseen)} is never called as a module: what reads its weight would find none",
                next_move=f"skip={','.join([*self.skip, *unseen])}",
            )
        return order
