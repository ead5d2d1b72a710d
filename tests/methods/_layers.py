"""Small models with every kind of layer that a step meets, and weights that two modules share."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Convolutional(nn.Module):
    """conv1 (1 → 8), grouped conv2 (8 → 8 in 2 groups), fc (512 → 3) on 8 × 8 images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.fc = nn.Linear(512, 3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv2(self.conv1(pixels).relu()).relu().flatten(1))


class Tied(nn.Module):
    """`rows` and `head` share one Parameter; `middle` is one module that is used twice and has two names."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.middle = nn.Embedding(32, 8), nn.Linear(8, 8)
        self.again = self.middle
        self.head = nn.Linear(8, 32, bias=False)
        self.head.weight = self.rows.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.again(self.middle(self.rows(tokens)).relu()))


class Transposed(nn.Module):
    """One of transformers' Conv1D layers, whose weight lies as (inputs, outputs), and a linear layer."""

    def __init__(self) -> None:
        from transformers.pytorch_utils import Conv1D

        super().__init__()
        self.turned, self.fc = Conv1D(12, 8), nn.Linear(12, 3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.fc(self.turned(pixels).relu())


class Normed(nn.Module):
    """A transformer's feed-forward half: norm, two readers of it, GELU; a few channels of the norm are very large."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(128)
        self.up, self.gate = nn.Linear(128, 64), nn.Linear(128, 64)
        self.down, self.head = nn.Linear(64, 128), nn.Linear(128, 3)
        for layer in (self.up, self.gate):
            nn.init.normal_(layer.weight, std=0.1)
        self.norm.weight.data[[3, 8]] = torch.tensor([60.0, 25.0])

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        hidden = self.norm(pixels)
        return self.head(self.down(self.up(hidden) * nn.functional.gelu(self.gate(hidden))) + pixels)


def made(cls: type[nn.Module]) -> Any:
    torch.manual_seed(0)
    return cls().eval()


def weight(model: nn.Module, layer: str) -> torch.Tensor:
    return model.get_submodule(layer).weight.detach()  # type: ignore[operator,return-value]
