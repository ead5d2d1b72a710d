"""Setting weights to zero by rank: shared by every unstructured pruner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.nouns import ModelCard
from workbench.params import did_you_mean

if TYPE_CHECKING:
    from torch import Tensor


def unknown_layers(card: ModelCard, skip: Sequence[str]) -> list[str]:
    """Return a complaint for each name in `skip` that is no prunable layer of the model."""
    known = [layer.name for layer in card.layers if layer.prunable]
    return [f"skip: no layer {name!r}{did_you_mean(name, known)}" for name in skip if name not in known]


def why_not(card: ModelCard, skip: Sequence[str]) -> list[str]:
    """Refuse unknown names, weights that are no longer float32, and models in which nothing is left to prune."""
    reasons = unknown_layers(card, skip)
    if card.precision != "float32":
        reasons.append(f"weights are already {card.precision}: prune them before that is decided")
    if not any(layer.prunable and layer.name not in skip for layer in card.layers):
        reasons.append("no layer left to prune")
    return reasons


def preview(card: ModelCard, sparsity: float, skip: Sequence[str]) -> ModelCard:
    """Return the card with the expected densities (per layer; ranking over the model moves them between layers)."""
    layers = tuple(
        replace(layer, density=min(layer.density, 1 - sparsity)) if layer.prunable and layer.name not in skip else layer
        for layer in card.layers
    )
    return card.with_layers(layers)


def zero_lowest(weights: Sequence[Tensor], scores: Sequence[Tensor], sparsity: float, scope: str) -> int:
    """Zero the `sparsity` share of `weights` with the lowest scores, in place; returns how many became zero anew.

    Exactly floor(sparsity × count) positions are zeroed per layer, or over all layers with `scope="model"`: ties are
    broken by position, so that the share is met even when many scores are equal.
    """
    import torch

    num_before = sum(int((weight == 0).sum()) for weight in weights)
    with torch.no_grad():
        if scope == "model":
            lowest = _lowest(torch.cat([score.flatten() for score in scores]), sparsity)
            pieces = lowest.split([score.numel() for score in scores])
        else:
            pieces = tuple(_lowest(score.flatten(), sparsity) for score in scores)
        for weight, piece in zip(weights, pieces):
            weight.masked_fill_(piece.view_as(weight), 0.0)
    return sum(int((weight == 0).sum()) for weight in weights) - num_before


def lamp(weight: Tensor) -> Tensor:
    """Return w² / Σ v² over the weights v of its layer that are not smaller: comparable between layers.

    Lee et al., arXiv 2010.07964, eq. 4. The largest weight of a layer scores 1, so none is emptied before all others are down to one.
    """
    import torch

    ordered, place = weight.detach().double().square().flatten().sort()
    left = ordered.flip(0).cumsum(0).flip(0).clamp_min(torch.finfo(torch.float64).tiny)
    scores = torch.empty_like(ordered)
    scores[place] = ordered / left
    return scores.view_as(weight)


def _lowest(scores: Tensor, share: float) -> Tensor:
    """Return a boolean mask of the floor(share × n) lowest scores."""
    import torch

    mask = torch.zeros(scores.shape, dtype=torch.bool, device=scores.device)
    mask[torch.argsort(scores, stable=True)[: int(share * scores.numel())]] = True
    return mask
