"""HQQ: zero points between the integers that make the error sparse, found from the weights alone.

Half-quadratic splitting of min over z of ‖W − (Q(W) − z) · s‖_p, p < 1: the error is shrunk, so that
large ones are left to a few weights, then z is the mean that makes the rest small. Scales stay those of the range.
Departures: per group the best zero point of all turns is kept, the starting one included, instead of the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.compress import _grid

if TYPE_CHECKING:
    from torch import Tensor

POWER, WEIGHT, GROWTH, TURNS = 0.7, 10.0, 1.01, 20  # p, β, κ and turns of the authors' code


def zeros(weight: Tensor, scales: Tensor, start: Tensor, *, bits: int, group_size: int | None) -> Tensor:
    """Return float zero points (outputs, groups) whose ℓp error is nowhere above that of `start`."""
    import torch

    groups = _grid.grouped(weight, group_size)
    is_weight = _grid.grouped(torch.ones_like(weight), group_size)  # not what a short group is filled up with
    wide_scales, zero, best, beta = scales[..., None], start[..., None], start, WEIGHT
    least = torch.full_like(start, torch.inf)
    for _ in range(TURNS):
        integers = _grid.rounded(groups, wide_scales, zero, bits)
        error = (groups - (integers - zero) * wide_scales) * is_weight
        size = error.abs().pow(POWER).sum(-1)
        best, least = torch.where(size < least, zero[..., 0], best), torch.minimum(size, least)
        sparse = _shrunk(error, beta)
        votes = (integers - (groups - sparse) / wide_scales) * is_weight
        zero = votes.sum(-1, keepdim=True) / is_weight.sum(-1, keepdim=True)
        beta *= GROWTH
    return best


def _shrunk(error: Tensor, beta: float) -> Tensor:
    """Return the generalised soft threshold: sign(x) · max(|x| − |x|^(p−1) / β, 0)."""
    import torch

    size = error.abs()
    powers = size.clamp(min=1e-12).pow(POWER - 1)
    return error.sign() * torch.clamp(size - powers / beta, min=0)
