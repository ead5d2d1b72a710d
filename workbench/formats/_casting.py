"""A module that computes in bfloat16 between float32 ends."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Float32Layer(nn.Module):
    """Runs one layer in float32 inside a bfloat16 model."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer.float()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs.float()).to(inputs.dtype)


class Casting(nn.Module):
    """Casts floating inputs to bfloat16, outputs back to float32; `kept` layers stay float32."""

    def __init__(self, model: nn.Module, kept: list[nn.Module]) -> None:
        super().__init__()
        names = {id(module): name for name, module in model.named_modules()}
        self.inner = model.to(torch.bfloat16)
        for module in kept:
            self.inner.set_submodule(names[id(module)], Float32Layer(module))

    def forward(self, *inputs: Tensor) -> Tensor:
        cast = (each.to(torch.bfloat16) if each.is_floating_point() else each for each in inputs)
        return self.inner(*cast).float()
