"""GPTQ: round one input after the other, and let those that follow make up for the error on calibration inputs.

Departures from the paper's algorithm 1: no lazy blocks (they change the speed, not the result); an input that is always
zero keeps its rounded weight instead of losing it; the Hessian is in float64 and comes from the model whose earlier layers
are rounded already, layer by layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.compress import _grid
from workbench.compress._compensating import inverse_factor
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from torch import Tensor

Ranges = Callable[["Tensor"], "tuple[Tensor, Tensor]"]  # groups (…, size) → scales, zero points


@dataclass(frozen=True)
class Order:
    """In which groups and in which order inputs are rounded.

    With `act_order` the largest activations come first; groups stay where they lie, so their ranges are fixed beforehand.
    """

    group_size: int | None
    act_order: bool = False
    damping: float = 0.01


def solve(weight: Tensor, hessian: Tensor, ranges: Ranges, *, bits: int, order: Order) -> tuple[Tensor, Tensor, Tensor]:
    """Return integers (outputs, inputs), scales and zero points (outputs, groups), all as float32."""
    import torch

    num_inputs = weight.shape[1]
    size = min(order.group_size or num_inputs, num_inputs)
    columns = torch.arange(num_inputs, device=weight.device)
    if order.act_order:
        columns = torch.argsort(hessian.diagonal(), descending=True, stable=True)
    if not bool(hessian.any()):
        raise WorkbenchError(
            "a layer's inputs are zero on all calibration examples", next_move="method=rtn, or skip it"
        )
    upper = inverse_factor(hessian[columns][:, columns][None], order.damping)[0]
    left = weight.double().clone()  # what is still to be rounded, errors made up for
    scales, zeros = ranges(_grid.grouped(weight, order.group_size))
    integers = torch.zeros_like(weight)
    for place, column in enumerate(columns.tolist()):
        group = column // size
        if column % size == 0 and not order.act_order:
            members = _grid.grouped(left[:, column : column + size].float(), None)
            scales[:, group], zeros[:, group] = (each[:, 0] for each in ranges(members))
        scale, zero, given = scales[:, group], zeros[:, group], left[:, column]
        integers[:, column] = _grid.rounded(given.float(), scale, zero, bits)
        error = (given - (integers[:, column] - zero) * scale) / upper[place, place]
        left[:, columns[place + 1 :]] -= error[:, None] * upper[place, place + 1 :]
    return integers, scales, zeros
