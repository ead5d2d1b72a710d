"""A module that computes in bfloat16 between float32 ends."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Float32Layer(nn.Module):
    """Runs one layer in float32 inside a bfloat16 model."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.in_float32 = layer.float()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.in_float32(inputs.float()).to(inputs.dtype)


class Casting(nn.Module):
    """Casts floating inputs to bfloat16, outputs back to float32; `kept` layers stay float32.

    The names of what is inside are markers, which `_pt2_archive` takes out of a saved tensor's name.
    """

    def __init__(self, model: nn.Module, kept: list[nn.Module]) -> None:
        super().__init__()
        names = {id(module): name for name, module in model.named_modules()}
        unrounded = {names[id(module)]: copy.deepcopy(module) for module in kept}  # casting works in place
        self.in_bfloat16 = model.to(torch.bfloat16)
        for name, module in unrounded.items():
            self.in_bfloat16.set_submodule(name, Float32Layer(module))

    def forward(self, *inputs: Tensor) -> Tensor:
        cast = (each.to(torch.bfloat16) if each.is_floating_point() else each for each in inputs)
        return self.in_bfloat16(*cast).float()
