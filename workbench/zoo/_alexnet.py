"""AlexNet as a module, its windows sized to the picture."""

from __future__ import annotations

from torch import Tensor, nn


class AlexNetwork(nn.Module):
    """Five convolutions, three linear layers: (N, C, H, W) → (N, classes)."""

    def __init__(self, plan: list[tuple[int, int, int, int, bool]], flat: int, hidden: int, classes: int) -> None:
        """`plan`: (inputs, outputs, kernel, stride, pooled) of each convolution; `flat`: numbers that reach `fc6`."""
        super().__init__()
        self.pooled = [pooled for *_, pooled in plan]
        for index, (inputs, outputs, kernel, stride, _) in enumerate(plan, start=1):
            self.add_module(f"conv{index}", nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2))
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.fc6, self.fc7, self.fc8 = nn.Linear(flat, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, classes)
        self.drop = nn.Dropout(0.5)

    def forward(self, pixels: Tensor) -> Tensor:
        for index, pooled in enumerate(self.pooled, start=1):
            pixels = self.get_submodule(f"conv{index}")(pixels).relu()
            if pooled:
                pixels = self.pool(pixels)
        hidden = self.fc6(self.drop(pixels.flatten(1))).relu()
        return self.fc8(self.fc7(self.drop(hidden)).relu())
