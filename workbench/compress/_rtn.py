"""Round to nearest: a grid per group from the range of its weights, by choice a narrower one with less squared error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.compress import _grid

if TYPE_CHECKING:
    from torch import Tensor

SHRINKS = [1 - 0.02 * index for index in range(36)]  # shares of the full range that the search tries


def of_groups(groups: Tensor, *, bits: int, symmetric: bool, search: bool) -> tuple[Tensor, Tensor]:
    """Return scales and zero points of groups (…, size)."""
    import torch

    scales, zeros = _of_range(groups, 1.0, bits, symmetric)
    if not search:
        return scales, zeros
    least = _squared_error(groups, scales, zeros, bits)
    for shrink in SHRINKS[1:]:
        tried = _of_range(groups, shrink, bits, symmetric)
        error = _squared_error(groups, *tried, bits)
        scales, zeros = (torch.where(error < least, new, old) for new, old in zip(tried, (scales, zeros)))
        least = torch.minimum(error, least)
    return scales, zeros


def _of_range(groups: Tensor, shrink: float, bits: int, symmetric: bool) -> tuple[Tensor, Tensor]:
    """Zero is always on the grid. Symmetric: 2^bits steps around it, so that either end is half a step from a level."""
    import torch

    if symmetric:
        scales = groups.abs().amax(-1) * shrink / (2 ** (bits - 1) - 0.5)
        zeros = torch.full_like(scales, 2 ** (bits - 1))
        return torch.where(scales > 0, scales, torch.ones_like(scales)), zeros
    low, high = groups.amin(-1).clamp(max=0) * shrink, groups.amax(-1).clamp(min=0) * shrink
    scales = (high - low) / (2**bits - 1)
    scales = torch.where(scales > 0, scales, torch.ones_like(scales))
    return scales, (-low / scales).round().clamp(0, 2**bits - 1)


def _squared_error(groups: Tensor, scales: Tensor, zeros: Tensor, bits: int) -> Tensor:
    scales, zeros = scales[..., None], zeros[..., None]
    return ((_grid.rounded(groups, scales, zeros, bits) - zeros) * scales - groups).square().sum(-1)
