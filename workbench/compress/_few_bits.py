"""What the steps that leave two or three values a weight have in common: which layers, the card, training, the record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.compress._zeros import unknown_layers
from workbench.errors import WorkbenchError
from workbench.nouns import Layer, ModelCard, Quantization
from workbench.part import Context

if TYPE_CHECKING:
    from torch import nn

KINDS = ("linear", "conv")


def chosen(names: Sequence[str], skip: Sequence[str], keep_ends: bool) -> list[str]:
    """Return the layers to change of all prunable ones in their order."""
    inner = names[1:-1] if keep_ends else names
    return [name for name in inner if name not in skip]


def of_card(card: ModelCard, skip: Sequence[str], keep_ends: bool) -> list[Layer]:
    layers = {layer.name: layer for layer in card.layers if layer.prunable}
    return [layers[name] for name in chosen(list(layers), skip, keep_ends) if layers[name].kind in KINDS]


def why_not(card: ModelCard, skip: Sequence[str], keep_ends: bool) -> list[str]:
    reasons = unknown_layers(card, skip)
    if card.precision != "float32":
        reasons.append(f"weights are already {card.precision}")
    if card.task == "unlabelled":
        reasons.append("trains on labels, and this data has none")
    if not of_card(card, skip, keep_ends):
        told = " between the first and the last, which stay float32 (keep_ends=False)" if keep_ends else ""
        reasons.append(f"no linear or conv layer left{told}")
    return reasons


def preview(card: ModelCard, names: Sequence[str], how: Quantization, precision: str) -> ModelCard:
    """Return the card with these layers packed; signs as inputs bring each a normalisation in front."""
    layers: list[Layer] = []
    for layer in card.layers:
        if layer.name not in names:
            layers.append(layer)
            continue
        if how.activations == "signs":
            channels = layer.weight_shape[1]
            layers.append(Layer(f"{layer.name}.norm", "norm", (channels,), 2 * channels, macs=0, prunable=False))
        layers.append(replace(layer, precision=how.weights, packed_bytes=how.packed_bytes(*_matrix(layer))))
    return card.with_layers(tuple(layers), precision=precision)


def _matrix(layer: Layer) -> tuple[int, int]:
    outputs = layer.weight_shape[0]
    return outputs, layer.num_weights // outputs


def train(
    model: nn.Module, ctx: Context, names: Sequence[str], parametrization: Callable[[], nn.Module], **pace: Any
) -> None:
    """Train with the weights of these layers rounded in every pass, and leave them so."""
    from workbench.compress import _signs

    for name in names:
        layer = model.get_submodule(name)
        if type(layer).__name__ == "Conv1D":
            raise WorkbenchError(f"{name} is a Conv1D, whose rows are inputs", next_move=f"skip={name}")
        _signs.tie(layer, parametrization())
    ctx.train(model, **pace)
    for name in names:
        _signs.untie(model.get_submodule(name))


def record(model: nn.Module, ctx: Context, names: Sequence[str], how: Quantization) -> None:
    """Record each layer with its grid; says how many bits a weight takes in theory, and with its scales."""
    from workbench.compress import _signs

    num_weights = num_bytes = 0
    for name in names:
        weight = model.get_submodule(name).get_parameter("weight")
        found = _signs.grid(weight, bits=how.bits)
        ctx.quantize(name, replace(how, kind="linear" if weight.ndim == 2 else "conv", grid=found))
        num_weights += weight.numel()
        num_bytes += how.packed_bytes(*found.integers.shape)
    ctx.say(
        f"{8 * num_bytes / num_weights:.3f} bits per weight with scales and padding, {how.bits} without, in {len(names)} layers"
    )
