"""Set the smallest weights to zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workbench.compress import _zeros
from workbench.errors import WorkbenchError
from workbench.nouns import ModelCard
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import nn


class MagnitudePrune(Step):
    """Ranks |weight| within each layer or over the whole model. Dense files keep their size: zeros are stored."""

    title = "Magnitude pruning"
    source = "Han, Pool, Tran & Dally, arXiv 1506.02626, section 3 (one shot; threshold by quantile, not by deviation)"

    sparsity: float = param(0.5, help="Share of weights set to zero", ge=0, lt=1)
    scope: Literal["layer", "model"] = param("layer", help="Where weights are ranked")
    skip: list[str] = param([], help="Layers that keep all their weights")

    def why_not(self, card: ModelCard) -> list[str]:
        return _zeros.why_not(card, self.skip)

    def preview(self, card: ModelCard) -> ModelCard:
        return _zeros.preview(card, self.sparsity, self.skip)

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Prune in place; raises when no further weight became zero."""
        weights = [(name, weight) for name, weight in ctx.weights(model) if name not in self.skip]
        scores = [weight.detach().abs() for _, weight in weights]
        num_changed = _zeros.zero_lowest([weight for _, weight in weights], scores, self.sparsity, self.scope)
        if not num_changed:
            raise WorkbenchError(
                "magnitude_prune set no further weight to zero", next_move="raise sparsity or drop the step"
            )
        ctx.say(f"{num_changed} weights set to zero")
        return model

    def describe(self) -> str:
        return f"prune {self.sparsity:.0%}"
