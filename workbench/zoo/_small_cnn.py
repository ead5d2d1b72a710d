"""The small convolutional network as a module."""

from __future__ import annotations

from torch import Tensor, nn


class Block(nn.Module):
    """3 × 3 convolution, batch normalisation, ReLU, then 2 × 2 max pooling unless it is the last block."""

    def __init__(self, num_inputs: int, num_outputs: int, *, pooled: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(num_inputs, num_outputs, kernel_size=3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(num_outputs)
        self.pool = nn.MaxPool2d(2) if pooled else nn.Identity()

    def forward(self, hidden: Tensor) -> Tensor:
        return self.pool(self.norm(self.conv(hidden)).relu())


class SmallNetwork(nn.Module):
    """Blocks of doubling width, average over the picture, one linear layer: (N, C, H, W) → (N, classes)."""

    def __init__(self, channels: list[int], num_classes: int) -> None:
        super().__init__()
        last = len(channels) - 2
        self.blocks = nn.Sequential(
            *(Block(channels[index], channels[index + 1], pooled=index < last) for index in range(last + 1))
        )
        self.classifier = nn.Linear(channels[-1], num_classes)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.classifier(self.blocks(pixels).mean(dim=(2, 3)))
