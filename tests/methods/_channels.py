"""Models whose channels are pruned in tests."""

from __future__ import annotations

import torch
from torch import nn


class Residual(nn.Module):
    """Two convolutions whose outputs are added to their input's: the stem's width is tied to conv2's."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm0 = nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.conv1, self.norm1 = nn.Conv2d(16, 24, 3, padding=1), nn.BatchNorm2d(24)
        self.conv2 = nn.Conv2d(24, 16, 3, padding=1)
        self.head = nn.Linear(16 * 64, 3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        stem = self.norm0(self.stem(pixels)).relu()
        return self.head((stem + self.conv2(self.norm1(self.conv1(stem)).relu())).flatten(1))


def residual() -> Residual:
    torch.manual_seed(0)
    return Residual().eval()
