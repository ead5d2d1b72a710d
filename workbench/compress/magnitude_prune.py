"""Set the smallest weights to zero, at once or in rounds with training between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workbench.compress import _distillation, _unused, _zeros
from workbench.errors import WorkbenchError
from workbench.extents import Extents
from workbench.nouns import ModelCard
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import nn

    from workbench.streamed import Streamed


class MagnitudePrune(Step):
    """Ranks |weight| within each layer, over the whole model, or over it by LAMP. Dense files keep their size: zeros are stored.

    With `rounds` = n the share after round t is s_t = s_n + (s_0 − s_n)(1 − t/n)³, s_0 what is zero already: many
    weights go early, when they are easy to replace, and few late. The last round is not trained: add a train step.
    `taught`: training between rounds learns as `distill` does, from the model as it came. `drop_unused` may pass the share.
    """

    title = "Magnitude pruning"
    source = (
        "Han, Pool, Tran & Dally, arXiv 1506.02626, section 3 (threshold by quantile, not by deviation); "
        "rounds: Zhu & Gupta, arXiv 1710.01878, eq. 1; lamp: Lee, Park, Mo, Ahn & Shin, arXiv 2010.07964, eq. 4"
    )
    searched = {"sparsity": (0.5, 0.7, 0.8, 0.9, 0.95), "scope": ("layer", "model")}

    sparsity: float = param(0.5, help="Share of weights set to zero", ge=0, lt=1)
    scope: Literal["layer", "model", "lamp"] = param(
        "layer", help="Where weights are ranked; lamp: over the model, each against the larger ones of its layer"
    )
    rounds: int = param(1, help="Prune in so many rounds, with training between them", unit="rounds", ge=1, le=1000)
    epochs_between: int = param(2, help="Training after each round but the last", unit="epochs", ge=1, le=10_000)
    learning_rate: float = param(1e-3, help="Peak learning rate of the training between rounds", gt=0, le=10)
    taught: bool = param(False, help="Between rounds learn from the model as it was before the first one, too")
    drop_unused: bool = param(
        False, help="After each round also zero weights and biases on which no training example's answer depends"
    )
    skip: list[str] = param([], help="Layers that keep all their weights")

    def why_not(self, card: ModelCard) -> list[str]:
        reasons = _zeros.why_not(card, self.skip)
        if self.taught and self.rounds == 1:
            reasons.append("taught is about the training between rounds, and there is one round: raise rounds")
        if self.taught and card.task == "unlabelled":
            reasons.append("taught learns from labels too, and this data has none")
        return reasons

    @property
    def spreads(self) -> bool:
        """Every process ranks the same weights, so they prune alike, and train between the rounds together."""
        return self.rounds > 1

    def why_not_spread(self, extents: Extents) -> list[str]:
        return _distillation.why_not_spread(extents) if self.taught else []

    def preview(self, card: ModelCard) -> ModelCard:
        return _zeros.preview(card, self.sparsity, self.skip)

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Prune in place; raises when no further weight became zero."""
        num_changed = 0
        teaching = {"loss": _distillation.from_itself(model)} if self.taught else {}
        for share in self._shares(self._density(model, ctx)):
            num_changed += self._round(model, ctx, share)
            ctx.say(f"{num_changed} weights set to zero, {share:.1%} in all")
            if share != self.sparsity:
                ctx.train(model, epochs=self.epochs_between, learning_rate=self.learning_rate, **teaching)
        if not num_changed:
            raise WorkbenchError(
                "magnitude_prune set no further weight to zero", next_move="raise sparsity or drop the step"
            )
        return model

    def stream(self) -> Streamed | str:
        from workbench.compress import _streams

        if self.scope != "layer" or self.rounds > 1 or self.drop_unused:
            return "a checkpoint is pruned layer by layer and without examples: scope=layer rounds=1 drop_unused=False"
        return _streams.Magnitude(self.sparsity, skip=self.skip)

    def describe(self) -> str:
        return f"prune {self.sparsity:.0%}" + (f" in {self.rounds} rounds" if self.rounds > 1 else "")

    def _round(self, model: nn.Module, ctx: Context, share: float) -> int:
        """Zero up to a share; returns how many numbers became zero anew."""
        chosen = {name: weight for name, weight in ctx.weights(model) if name not in self.skip}
        scores = [_zeros.lamp(weight) if self.scope == "lamp" else weight.detach().abs() for weight in chosen.values()]
        within = "model" if self.scope == "lamp" else self.scope
        num_changed = _zeros.zero_lowest(list(chosen.values()), scores, share, within)
        return num_changed + (_unused.clear(model, list(chosen), ctx) if self.drop_unused else 0)

    def _density(self, model: nn.Module, ctx: Context) -> float:
        """Return the share of the weights to prune that aren't zero yet."""
        weights = [weight for name, weight in ctx.weights(model) if name not in self.skip]
        return sum(int((weight != 0).sum()) for weight in weights) / max(1, sum(weight.numel() for weight in weights))

    def _shares(self, density: float) -> list[float]:
        """Return the share of zeros after each round, ending at exactly `sparsity`."""
        left = max(0.0, self.sparsity - (1 - density))
        rounds = range(1, self.rounds)
        return [*(self.sparsity - left * (1 - done / self.rounds) ** 3 for done in rounds), self.sparsity]
