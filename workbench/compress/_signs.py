"""Weights of two or three values, and layers whose inputs are signs too; gradients pass straight through the rounding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from workbench.errors import WorkbenchError
from workbench.nouns import Grid, middle

THRESHOLD = 0.7  # of the mean size: below it a ternary weight is zero (eq. 6 of the paper)
EPSILON = 1e-12


def sign(numbers: Tensor) -> Tensor:
    """Return ±1, +1 for zero."""
    return torch.where(numbers >= 0, 1.0, -1.0)


class Binary(nn.Module):
    """A parametrization: W → α · sign(W), α the mean size of a filter's weights: the best of all scales (eq. 6)."""

    def forward(self, weight: Tensor) -> Tensor:
        alpha = weight.abs().mean(_others(weight), keepdim=True)
        return alpha * _straight(weight, sign(weight))


class Ternary(nn.Module):
    """A parametrization: W → α · {−1, 0, 1}; zero up to Δ = 0.7 · mean |W|, α the mean size of the others."""

    def __init__(self, *, per_channel: bool) -> None:
        super().__init__()
        self.per_channel = per_channel

    def forward(self, weight: Tensor) -> Tensor:
        others = _others(weight) if self.per_channel else list(range(weight.ndim))
        sizes = weight.abs()
        is_large = sizes > THRESHOLD * sizes.mean(others, keepdim=True)
        count = is_large.sum(others, keepdim=True).clamp(min=1)
        alpha = (sizes * is_large).sum(others, keepdim=True) / count
        return (alpha * weight.sign() * is_large).detach() + (weight - weight.detach())


def _others(weight: Tensor) -> list[int]:
    return list(range(1, weight.ndim))


def _straight(numbers: Tensor, signs: Tensor) -> Tensor:
    """Return the signs, with the gradient of numbers clipped to ±1."""
    clipped = numbers.clamp(-1, 1)
    return signs.detach() + (clipped - clipped.detach())


class _SignedInputs:
    """What both layers share: inputs are normalised, then only their signs and the mean size around each output count."""

    def take_over(self: Any, layer: Any, normalisation: nn.Module) -> Any:
        self.weight, self.bias = layer.weight, layer.bias
        self.norm = normalisation.to(layer.weight.device)
        return self.train(layer.training)


class XnorLinear(_SignedInputs, nn.Linear):
    """y = (sign(n) · signs of W) ⊙ K · α + b with n = norm(x), K = mean |n|: eq. 11 of the paper for one position."""

    def forward(self, inputs: Tensor) -> Tensor:
        normal: Tensor = self.norm(inputs.flatten(0, -2)).view_as(inputs)
        size = normal.abs().mean(-1, keepdim=True)
        product = nn.functional.linear(_straight(normal, sign(normal)), self.weight) * size
        return product if self.bias is None else product + self.bias


class XnorConv2d(_SignedInputs, nn.Conv2d):
    """The same where K is the mean |n| under the kernel; what is padded around the signs counts as +1, and nothing to K."""

    def forward(self, inputs: Tensor) -> Tensor:
        normal: Tensor = self.norm(inputs)
        convolve: Any = nn.functional.conv2d
        rows, columns = (int(each) for each in self.padding)
        box = normal.new_full((1, 1, *self.kernel_size), 1 / (self.kernel_size[0] * self.kernel_size[1]))
        where = {"stride": self.stride, "dilation": self.dilation}
        size = convolve(normal.abs().mean(1, keepdim=True), box, padding=self.padding, **where)
        signs = nn.functional.pad(_straight(normal, sign(normal)), (columns, columns, rows, rows), value=1.0)
        product: Tensor = convolve(signs, self.weight, **where) * size
        return product if self.bias is None else product + self.bias[:, None, None]


def with_signed_inputs(name: str, layer: Any) -> Any:
    """Return the layer as one whose inputs are signs; its weight and bias are the same parameters."""
    if type(layer) is nn.Linear:
        made: Any = XnorLinear(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
        return made.take_over(layer, nn.BatchNorm1d(layer.in_features))
    if type(layer) is nn.Conv2d and layer.groups == 1 and layer.padding_mode == "zeros" and layer.padding != "same":
        given: Any = layer
        made = XnorConv2d(
            given.in_channels, given.out_channels, given.kernel_size, given.stride,
            (0, 0) if given.padding == "valid" else given.padding, given.dilation, bias=given.bias is not None, device="meta",
        )  # fmt: skip
        return made.take_over(layer, nn.BatchNorm2d(layer.in_channels))
    raise WorkbenchError(
        f"{name}, a {type(layer).__name__} as it is set up, can't have signs as inputs",
        next_move=f"skip={name}, or inputs=float32",
    )


def tie(layer: nn.Module, parametrization: nn.Module) -> None:
    nn.utils.parametrize.register_parametrization(layer, "weight", parametrization)


def untie(layer: nn.Module) -> None:
    """Make the rounded weight an ordinary parameter."""
    nn.utils.parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    layer.register_parameter("weight", nn.Parameter(layer.get_parameter("weight").detach().clone()))


def grid(weight: Tensor, *, bits: int) -> Grid:
    """Return where weights of two (1 bit) or three (2 bits) values lie: (integer − middle) · scale, a scale for each row."""
    rows = weight.detach().flatten(1)
    scales = rows.abs().amax(1, keepdim=True)
    scales = torch.where(scales > 0, scales, torch.ones_like(scales))
    integers = (rows >= 0).to(torch.uint8) if bits == 1 else ((rows / scales).round() + 2).to(torch.uint8)
    middles = torch.full_like(scales, middle(bits))
    scales = scales * 2 if bits == 1 else scales
    return Grid(*(each.cpu().contiguous().numpy() for each in (integers, scales, middles)))
