"""The two LeNets as modules."""

from __future__ import annotations

from torch import Tensor, nn


class MultiLayerPerceptron(nn.Module):
    """Linear layers `fc1 … fcN` with ReLU between: (N, C, H, W) or (N, F) → (N, classes)."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.num_layers = len(widths) - 1
        for index in range(self.num_layers):
            self.add_module(f"fc{index + 1}", nn.Linear(widths[index], widths[index + 1]))

    def forward(self, pixels: Tensor) -> Tensor:
        hidden = pixels.flatten(1)
        for index in range(1, self.num_layers):
            hidden = self.get_submodule(f"fc{index}")(hidden).relu()
        return self.get_submodule(f"fc{self.num_layers}")(hidden)


class ConvolutionalLeNet(nn.Module):
    """Two padded 5 × 5 convolutions with max pooling, then two linear layers: (N, C, H, W) → (N, classes)."""

    def __init__(self, image: tuple[int, int, int], widths: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        channels, height, width = image
        self.conv1 = nn.Conv2d(channels, widths[0], kernel_size=5, padding=2)
        self.conv2 = nn.Conv2d(widths[0], widths[1], kernel_size=5, padding=2)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(widths[1] * (height // 4) * (width // 4), widths[2])
        self.fc2 = nn.Linear(widths[2], num_classes)

    def forward(self, pixels: Tensor) -> Tensor:
        hidden = self.pool(self.conv1(pixels).relu())
        hidden = self.pool(self.conv2(hidden).relu())
        return self.fc2(self.fc1(hidden.flatten(1)).relu())
