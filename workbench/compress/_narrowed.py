"""What a card looks like once channels are gone: exact for plain chains, an estimate for the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from workbench.nouns import Layer, ModelCard

NOTE = "layer shapes after channel_prune are an estimate until it has run"

Kept = Callable[[int], int]  # width -> how much of it stays


def preview(card: ModelCard, kept: Kept, skip: Sequence[str]) -> ModelCard:
    """Return the card with narrower layers, marked as reshaped.

    Exact where each layer feeds the next. Residual networks are taken to shrink equal widths equally; in transformers
    (known by their embeddings or attention layers) only the feed-forward width does.
    """
    weighted = [layer for layer in card.layers if layer.prunable]
    if _is_transformer(card):
        changed = _feed_forward(weighted, kept, skip)
    else:
        changed = _chain(weighted, kept, skip)
        widths = {layer.weight_shape[0]: changed[layer.name].weight_shape[0] for layer in weighted[:-1]}
        norms = [layer for layer in card.layers if layer.kind == "norm"]
        changed |= {
            layer.name: narrow(layer, widths.get(layer.weight_shape[0], layer.weight_shape[0])) for layer in norms
        }
    layers = tuple(changed.get(layer.name, layer) for layer in card.layers)
    notes = card.notes if NOTE in card.notes else (*card.notes, NOTE)
    return card.with_layers(layers, structure="reshaped", notes=notes)


def _is_transformer(card: ModelCard) -> bool:
    return any(layer.kind == "embedding" or "attention" in layer.name or "attn" in layer.name for layer in card.layers)


def _chain(weighted: Sequence[Layer], kept: Kept, skip: Sequence[str]) -> dict[str, Layer]:
    """Narrow every output but the last layer's, and each layer's inputs as the layer before it."""
    changed: dict[str, Layer] = {}
    before, before_kept = 0, 0  # outputs of the layer before, as they were and as they become
    for index, layer in enumerate(weighted):
        outputs, inputs = layer.weight_shape[:2]
        if not index:
            new_inputs = inputs
        elif before and inputs % before == 0:
            new_inputs = before_kept * (inputs // before)  # flattened maps: several inputs a channel
        else:
            new_inputs = kept(inputs)
        stays = index == len(weighted) - 1 or layer.name in skip or weighted[index + 1].name in skip
        before, before_kept = outputs, outputs if stays else kept(outputs)
        changed[layer.name] = narrow(layer, before_kept, new_inputs)
    return changed


def _feed_forward(weighted: Sequence[Layer], kept: Kept, skip: Sequence[str]) -> dict[str, Layer]:
    """Narrow linear layers outside attention on the side that isn't as wide as the residual stream."""
    stream = weighted[-1].weight_shape[1]
    changed = {}
    for layer in weighted[:-1]:
        if layer.kind != "linear" or "attention" in layer.name or "attn" in layer.name or layer.name in skip:
            continue
        outputs, inputs = (width if width == stream else kept(width) for width in layer.weight_shape)
        changed[layer.name] = narrow(layer, outputs, inputs)
    return changed


def narrow(layer: Layer, outputs: int, inputs: int | None = None) -> Layer:
    """Return the layer with other widths; `inputs` is None for norms, which have none."""
    old = layer.weight_shape
    shape = (outputs, *old[1:]) if inputs is None else (outputs, inputs, *old[2:])
    size = replace(layer, weight_shape=shape).num_weights
    num_other = layer.num_params - layer.num_weights  # biases: one per output
    macs = None if layer.macs is None else layer.macs * size // max(1, layer.num_weights)
    return replace(layer, weight_shape=shape, num_params=size + num_other * outputs // old[0], macs=macs)
