"""A small network whose weights are rounded."""

from __future__ import annotations

from typing import Any

import torch

from tests.methods._context import context, perceptron
from workbench.compress.weight_only import WeightOnly
from workbench.nouns import Grid, Quantization

WIDTHS = (8, 300, 70, 3)  # 300 and 70 are no multiples of 16, 32, …


def quantized(**options: Any) -> tuple[torch.nn.Module, dict[str, Quantization]]:
    model, ctx = perceptron(widths=WIDTHS), context()
    assert WeightOnly(**options).run(model, ctx) is model
    return model, ctx.quantization


def grid_of(how: Quantization) -> Grid:
    assert how.grid is not None
    return how.grid


def errors(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    before = perceptron(widths=WIDTHS)
    return {
        name: (model.get_submodule(name).weight - before.get_submodule(name).weight).detach()
        for name in ("fc1", "fc2", "fc3")
    }
