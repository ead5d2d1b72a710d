"""Give the weights on either side of a channel the same range, without changing what the network answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from workbench.compress import _fake, _flow
from workbench.errors import WorkbenchError
from workbench.nouns import Examples

MOST_ROUNDS = 40
ENOUGH = 1e-3  # largest change of a factor at which equalising ends


def equalise(model: nn.Module, layers: Sequence[str], examples: Examples, norms: Mapping[str, str]) -> int:
    """Move factors between layers that feed each other, in place; returns how many places there were.

    s = √(range of the channel's own weights / range of the weights that read it), eq. 11, until nothing moves: the ranges
    are those of folded weights. Biases that grow too large are not absorbed.
    """
    places = [feed for feed in _flow.feeds(model, examples, list(layers)) if feed.producer in layers]
    if not places:
        raise WorkbenchError(
            "equalise found no layer that feeds another one through ReLU, pooling or nothing at all",
            next_move="equalise=False (smooth_quant also moves factors out of normalisations)",
        )
    for _ in range(MOST_ROUNDS):
        moved = 1.0
        for feed in places:
            own = _largest_by_row(
                model, feed.producer, norms.get(feed.producer) if feed.source != feed.producer else None
            )
            reading = torch.stack([_largest_by_input(model, user, feed.repeat) for user in feed.users]).amax(0)
            factors = torch.where((own > 0) & (reading > 0), (own / reading).sqrt(), torch.ones_like(own))
            _flow.move(model, feed, factors)
            moved = max(moved, float(factors.max()), float((1 / factors).max()))
        if moved < 1 + ENOUGH:
            break
    return len(places)


def _largest_by_row(model: nn.Module, layer: str, norm: str | None) -> Tensor:
    weight = model.get_submodule(layer).get_parameter("weight").detach()
    if norm is not None:
        behind: Any = model.get_submodule(norm)
        weight = weight * _fake.folding(behind, weight.ndim)
    return weight.abs().flatten(1).amax(1)


def _largest_by_input(model: nn.Module, layer: str, repeat: int) -> Tensor:
    weight = model.get_submodule(layer).get_parameter("weight").detach()
    return _flow.input_columns(weight, repeat).abs().amax(0)
