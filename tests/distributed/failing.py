"""A model of one's own that one process can't run."""

from __future__ import annotations

import os
import time

from torch import Tensor, nn


class Picky(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, pixels: Tensor) -> Tensor:
        if os.environ.get("RANK") == "1" and self.training:
            time.sleep(0.2)
            raise ValueError("this one can't")
        return self.layer(pixels.flatten(1))


def picky(data: object) -> nn.Module:
    return Picky()
