"""Groups of a weight matrix along its inputs, rounding them to a grid, and the grid as a format takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.nouns import Grid, Quantization

if TYPE_CHECKING:
    from torch import Tensor


def grouped(weight: Tensor, group_size: int | None) -> Tensor:
    """Return (outputs, groups, size), the last group filled up with zeros; every grid holds zero, so they cost no error."""
    from torch.nn.functional import pad

    size = min(group_size or weight.shape[1], weight.shape[1])
    missing = -weight.shape[1] % size
    return pad(weight, (0, missing)).unflatten(1, (-1, size))


def spread(per_group: Tensor, weight: Tensor, group_size: int | None) -> Tensor:
    """Return (outputs, inputs) with the value of each weight's group."""
    size = min(group_size or weight.shape[1], weight.shape[1])
    return per_group.repeat_interleave(size, dim=1)[:, : weight.shape[1]]


def rounded(weight: Tensor, scales: Tensor, zeros: Tensor, bits: int) -> Tensor:
    """Return the nearest integers of the grid, as floats; scales and zeros are broadcast."""
    return (weight / scales + zeros).round().clamp(0, 2**bits - 1)


def place(weight: Tensor, integers: Tensor, scales: Tensor, zeros: Tensor, how: Quantization) -> Grid:
    """Put the weight exactly on the grid, in place, and return the grid."""
    import torch

    wide_zeros, wide_scales = (spread(each, weight, how.group_size) for each in (zeros, scales))
    with torch.no_grad():
        weight.copy_((integers - wide_zeros) * wide_scales)
    kept_zeros = zeros if how.float_zeros else zeros.to(torch.uint8)
    return Grid(*(each.cpu().contiguous().numpy() for each in (integers.to(torch.uint8), scales, kept_zeros)))
