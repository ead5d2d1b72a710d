"""What the steps that only decide how numbers are stored have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from workbench.compress._zeros import unknown_layers
from workbench.nouns import ModelCard


def why_not(card: ModelCard, kinds: Sequence[str], skip: Sequence[str]) -> list[str]:
    """Refuse when weights are already stored otherwise, or no layer of these kinds is left."""
    reasons = unknown_layers(card, skip)
    if card.precision != "float32":
        reasons.append(f"weights are already {card.precision}")
    if not any(layer.kind in kinds and layer.prunable and layer.name not in skip for layer in card.layers):
        reasons.append(f"no {' or '.join(kinds)} layer left to quantize")
    return reasons


def preview(card: ModelCard, kinds: Sequence[str], skip: Sequence[str], *, layer: str, model: str) -> ModelCard:
    """Return the card with `layer` as precision of the touched layers and `model` as that of the whole."""
    layers = tuple(
        replace(each, precision=layer) if each.kind in kinds and each.prunable and each.name not in skip else each
        for each in card.layers
    )
    return card.with_layers(layers, precision=model)
