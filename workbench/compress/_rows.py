"""A layer's weight as one row per output, and the rules that pick which weights of a row go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.compress import _zeros
from workbench.errors import WorkbenchError
from workbench.nouns import Layer, ModelCard
from workbench.part import Context

if TYPE_CHECKING:
    from torch import Tensor, nn

PATTERNS = {"unstructured": (0, 1), "2:4": (2, 4), "4:8": (4, 8)}  # (how many stay, of how many neighbours)

Density = Callable[[Layer], float]  # layer -> share of its weights that isn't zero afterwards


def row_shape(layer: Layer) -> tuple[int, int]:
    """Return (outputs, weights of one output). transformers' Conv1D is stored turned, which only its biases tell."""
    first, last = layer.weight_shape[0], layer.weight_shape[-1]
    num_biases = layer.num_params - layer.num_weights
    if layer.kind == "linear" and num_biases == last != first:
        return last, first
    return first, layer.num_weights // first


def as_rows(model: nn.Module, name: str) -> Tensor:
    """Return a copy of a layer's weight as (groups, outputs of a group, weights of one output).

    A convolution's row is its flattened (input channels of the group, height, width); a linear layer has one group.
    Raises WorkbenchError when a value is NaN or infinite: nothing can be ranked then.
    """
    module = model.get_submodule(name)
    weight: Tensor = module.weight.detach()  # type: ignore[assignment,operator]
    if not weight.isfinite().all():
        raise WorkbenchError(
            f"{name} holds NaN or infinite weights, so they can't be ranked",
            next_move="train the model first, with a lower learning_rate",
        )
    rows = weight.T if _is_turned(module) else weight.flatten(1)
    return rows.reshape(getattr(module, "groups", 1), -1, rows.shape[1]).clone()


def write_back(model: nn.Module, name: str, rows: Tensor) -> int:
    """Store what `as_rows` gave, changed; returns how many more weights are zero than before."""
    module = model.get_submodule(name)
    weight: Tensor = module.weight.data  # type: ignore[assignment]
    num_before = int((weight == 0).sum())
    flat = rows.flatten(0, 1)
    weight.copy_(flat.T if _is_turned(module) else flat.view(weight.shape))
    return int((weight == 0).sum()) - num_before


def _is_turned(module: nn.Module) -> bool:
    return type(module).__name__ == "Conv1D"  # GPT-2's linear layer, stored as (inputs, outputs)


def lowest_per_row(scores: Tensor, share: float) -> Tensor:
    """Return a mask of the floor(share × n) lowest scores along the last axis; ties go to the earlier position."""
    return _lowest(scores, int(share * scores.shape[-1]))


def lowest_per_group(scores: Tensor, keep: int, group_size: int) -> Tensor:
    """Return a mask of all but the `keep` highest scores in each `group_size` neighbours of the last axis."""
    groups = scores.unflatten(-1, (-1, group_size))
    return _lowest(groups, group_size - keep).flatten(-2)


def _lowest(scores: Tensor, num: int) -> Tensor:
    import torch

    mask = torch.zeros_like(scores, dtype=torch.bool)
    return mask.scatter_(-1, torch.argsort(scores, dim=-1, stable=True)[..., :num], True)


def divisible(model: nn.Module, names: Sequence[str], group_size: int, ctx: Context) -> list[str]:
    """Return the layers whose rows can be cut into groups, and tell which can't; raises when there are none."""
    lengths = {name: as_rows(model, name).shape[-1] for name in names}
    whole = [f"{name} ({length} weights per output)" for name, length in lengths.items() if length % group_size]
    if whole:
        ctx.say(f"left whole, no multiple of {group_size}: {', '.join(whole)}")
    if len(whole) == len(names):
        raise WorkbenchError(
            f"found no layer to cut into groups of {group_size} weights",
            next_move="choose groups that divide a layer's weights per output, shorten skip, or drop the step",
        )
    return [name for name, length in lengths.items() if not length % group_size]


def pattern_problems(pattern: str, sparsity: float) -> list[str]:
    keep, group_size = PATTERNS[pattern]
    if pattern != "unstructured" and sparsity != 1 - keep / group_size:
        return [
            f"pattern {pattern} sets exactly {1 - keep / group_size:.0%} to zero, sparsity={sparsity:g} can't be met"
        ]
    return []


def why_not(card: ModelCard, skip: Sequence[str], *, group_size: int = 1) -> list[str]:
    """Refuse what every pruner refuses, and models in which no row can be cut into groups."""
    reasons = _zeros.why_not(card, skip)
    lengths = {layer.name: row_shape(layer)[1] for layer in card.layers if layer.prunable and layer.name not in skip}
    if lengths and all(length % group_size for length in lengths.values()):
        told = ", ".join(f"{name} {length}" for name, length in list(lengths.items())[:3])
        reasons.append(f"no layer's number of weights per output is a multiple of {group_size}: {told}")
    return reasons


def preview(card: ModelCard, skip: Sequence[str], density: Density, *, group_size: int = 1) -> ModelCard:
    """Return the card with lower densities; layers whose rows can't be cut into groups keep theirs."""
    touched = {
        layer.name: replace(layer, density=min(layer.density, density(layer)))
        for layer in card.layers
        if layer.prunable and layer.name not in skip and not row_shape(layer)[1] % group_size
    }
    return card.with_layers(tuple(touched.get(layer.name, layer) for layer in card.layers))
