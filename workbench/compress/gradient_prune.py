"""Set the weights to zero that the loss is least sensitive to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.compress import _gradients, _zeros
from workbench.errors import InvalidInput, WorkbenchError
from workbench.nouns import ModelCard
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import Tensor, nn


class GradientPrune(Step):
    """Saliency of a weight w: |∂L/∂w| (or |w · ∂L/∂w|, the loss's first-order change when w goes), over its layer's largest.

    L is the mean loss over a whole split. `gradient` alone is the source text's rule: it asks where the loss is steep, not
    what a weight contributes, and on trained models (every gradient near zero) it loses much more accuracy than
    `gradient_x_weight` or magnitude.
    """

    title = "Gradient pruning"
    source = (
        "gradient against a threshold after normalising, as in the project's source text; "
        "gradient × weight: Mozer & Smolensky 1988 (NIPS 1), Molchanov et al. arXiv 1611.06440, eq. 7"
    )
    searched = {"sparsity": (0.5, 0.7, 0.8, 0.9), "saliency": ("gradient_x_weight",)}

    saliency: Literal["gradient", "gradient_x_weight"] = param("gradient", help="What a weight is ranked by")
    sparsity: float | None = param(None, help="Share of weights set to zero; give this or threshold", gt=0, lt=1)
    threshold: float | None = param(
        None,
        help="Weights at or below this share of their layer's largest saliency go; give this or sparsity",
        ge=0,
        lt=1,
    )
    scope: Literal["layer", "model"] = param("layer", help="Where weights are ranked to meet sparsity")
    split: Literal["train", "calibration"] = param("train", help="Examples that the gradient is taken over")
    skip: list[str] = param([], help="Layers that keep all their weights")

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        return {"sparsity": 0.5}

    def why_not(self, card: ModelCard) -> list[str]:
        reasons = self._how_much() + _zeros.why_not(card, self.skip)
        if card.task == "unlabelled":
            reasons.append("a gradient of the loss needs labels, and this data has none")
        return reasons

    def preview(self, card: ModelCard) -> ModelCard:
        if self.sparsity is not None:
            return _zeros.preview(card, self.sparsity, self.skip)
        note = "how many weights fall below gradient_prune's threshold is known once it has run"
        return replace(card, notes=(*card.notes, note))

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Prune in place; raises when no further weight became zero."""
        if problems := self._how_much():
            raise InvalidInput([f"gradient_prune: {problem}" for problem in problems])
        weights = [(name, weight) for name, weight in ctx.weights(model) if name not in self.skip]
        scores = self._saliencies(model, [weight for _, weight in weights], ctx)
        num_changed = self._zero([weight for _, weight in weights], scores)
        if not num_changed:
            raise WorkbenchError(
                "gradient_prune set no further weight to zero", next_move=f"raise {self._limit()}, or drop the step"
            )
        ctx.say(f"{num_changed} weights set to zero")
        return model

    def describe(self) -> str:
        if self.sparsity is not None:
            return f"gradient prune {self.sparsity:.0%}"
        return "gradient prune" + (f" ≤ {self.threshold:g}" if self.threshold is not None else "")

    def _limit(self) -> str:
        return "sparsity" if self.sparsity is not None else "threshold"

    def _how_much(self) -> list[str]:
        if (self.sparsity is None) == (self.threshold is None):
            given = "neither" if self.sparsity is None else "both"
            return [f"give exactly one of sparsity and threshold (given: {given})"]
        return []

    def _saliencies(self, model: nn.Module, weights: list[Tensor], ctx: Context) -> list[Tensor]:
        """Return one tensor per weight in [0, 1]: 1 is the layer's most salient weight."""
        import torch

        sums = [torch.zeros_like(weight) for weight in weights]
        for _ in _gradients.backward_per_batch(model, getattr(ctx.data, self.split), ctx):
            for total, weight in zip(sums, weights):
                if weight.grad is not None:
                    total += weight.grad
        if self.saliency == "gradient_x_weight":
            sums = [total * weight.detach() for total, weight in zip(sums, weights)]
        largest = [total.abs().max() for total in sums]
        if not any(bool(peak > 0) for peak in largest):
            raise WorkbenchError("every gradient is zero: nothing to rank by", next_move="use magnitude_prune")
        return [total.abs() / peak.clamp_min(torch.finfo(peak.dtype).tiny) for total, peak in zip(sums, largest)]

    def _zero(self, weights: list[Tensor], scores: list[Tensor]) -> int:
        """Zero the least salient weights; returns how many became zero anew."""
        if self.sparsity is not None:
            # A weight that is zero already counts towards the share, however steep the loss is there.
            ranks = [score.masked_fill(weight.detach() == 0, -1.0) for weight, score in zip(weights, scores)]
            return _zeros.zero_lowest(weights, ranks, self.sparsity, self.scope)
        assert self.threshold is not None
        num_changed = 0
        for weight, score in zip(weights, scores):
            below = score <= self.threshold
            num_changed += int((below & (weight.detach() != 0)).sum())
            weight.data.masked_fill_(below, 0.0)
        return num_changed
