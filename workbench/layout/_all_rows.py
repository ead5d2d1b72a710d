"""Modules that watch their inputs while they train see, together, the rows of all processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from workbench.layout._batch_norm import Rows
from workbench.spread import AllRows


class Peers(AllRows):
    """Every process asks as often as the others."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def widest(self, ends: Tensor) -> Tensor:
        told = ends * ends.new_tensor([-1.0, 1.0]) * float(self.rows.count)
        dist.all_reduce(told, dist.ReduceOp.MAX)
        return told * told.new_tensor([-1.0, 1.0])

    def count(self, number: int) -> int:
        told = torch.tensor([number * self.rows.count])
        dist.all_reduce(told)
        return int(told)


def join(model: nn.Module, rows: Rows) -> None:
    """Let every such module in `model` ask the other processes."""
    for module in _watching(model):
        module.all_rows = Peers(rows)


def leave(model: nn.Module) -> None:
    """Undo that."""
    for module in _watching(model):
        module.all_rows = AllRows()


def _watching(model: nn.Module) -> Iterator[Any]:
    return (module for module in model.modules() if isinstance(getattr(module, "all_rows", None), AllRows))
