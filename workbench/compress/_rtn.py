"""Round to nearest: a grid per group from the range of its weights, by choice a narrower one with less squared error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench import grids

if TYPE_CHECKING:
    from torch import Tensor


def of_groups(groups: Tensor, *, bits: int, symmetric: bool, search: bool) -> tuple[Tensor, Tensor]:
    """Return scales and zero points of groups (…, size)."""
    import torch

    given = groups.detach().float().cpu().numpy()
    found = grids.ranges(given, bits=bits, symmetric=symmetric, search=search)
    return tuple(torch.from_numpy(each).to(groups) for each in found)  # type: ignore[return-value]
