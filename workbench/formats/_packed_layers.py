"""Layers that hold packed integers and widen them anew at each call, or count bits: torch operations and `_xnor_kernel`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from workbench import _float8
from workbench.errors import WorkbenchError
from workbench.formats import _packed
from workbench.nouns import Quantization, middle

SCALES, ZEROS = "scales", "zeros"
FLOAT8 = "float8"  # the buffer with a weight's 8-bit floats
CONVOLUTIONS: dict[type[nn.Module], Any] = {
    nn.Conv1d: nn.functional.conv1d,
    nn.Conv2d: nn.functional.conv2d,
    nn.Conv3d: nn.functional.conv3d,
}


def marker(bits: int, shape: Sequence[int]) -> str:
    """Return the name of the buffer with the integers: it tells a reader bits, and the shape of one output's weights."""
    return f"int{bits}_of_{'x'.join(map(str, shape))}"


class Packed(nn.Module):
    """Holds the grid of a layer's weight; a call is slower than of float weights, for it unpacks every weight first."""

    def __init__(self, layer: Any, how: Quantization) -> None:
        super().__init__()
        packed = _packed.pack(how)
        self.bits, self.num_inputs, self.shape = packed.bits, packed.num_inputs, tuple(layer.weight.shape[1:])
        self.register_buffer(marker(self.bits, self.shape), torch.from_numpy(packed.integers))
        self.register_buffer(SCALES, torch.from_numpy(packed.scales))
        if packed.zeros is not None:
            self.register_buffer(ZEROS, torch.from_numpy(packed.zeros))
        self.bias = layer.bias

    def integers(self) -> Tensor:
        return self.get_buffer(marker(self.bits, self.shape))

    def widened(self) -> Tensor:
        """Return the float32 weight (outputs, inputs): (integer − zero) · scale."""
        scales = self.get_buffer(SCALES)
        integers = unpacked(self.integers(), self.bits)
        wide = ((integers - self._zeros(scales.shape[1])) * scales[..., None]).flatten(1)
        return wide if wide.shape[1] == self.num_inputs else wide[:, : self.num_inputs]

    def _zeros(self, num_blocks: int) -> Tensor | float:
        zeros = self._buffers.get(ZEROS)
        if zeros is None:
            return middle(self.bits)  # a float: bytes less an integer would wrap around
        if zeros.dtype == torch.uint8:
            zeros = unpacked(zeros, self.bits)[:, :num_blocks].float()
        return zeros[..., None]


class PackedLinear(Packed):
    def forward(self, inputs: Tensor) -> Tensor:
        return nn.functional.linear(inputs, self.widened(), self.bias)


class PackedConvolution(Packed):
    def __init__(self, layer: Any, how: Quantization) -> None:
        super().__init__(layer, how)
        self.convolve = CONVOLUTIONS[type(layer)]
        self.where = (layer.stride, layer.padding, layer.dilation, layer.groups)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.convolve(inputs, self.widened().unflatten(1, self.shape), self.bias, *self.where)
        return outputs


class CountedLinear(Packed):
    """Inputs are signs too: what they have in common with the weights is counted, and multiplied by α and their size."""

    def __init__(self, layer: Any, how: Quantization) -> None:
        super().__init__(layer, how)
        self.norm = layer.norm

    def forward(self, inputs: Tensor) -> Tensor:
        normal = self.norm(inputs.flatten(0, -2))
        size = normal.abs().mean(-1, keepdim=True)
        counted = torch.ops.xnor.linear(normal, self.integers()[:, 0])
        product = counted * (self.get_buffer(SCALES)[:, 0] / 2) * size
        return (product if self.bias is None else product + self.bias).unflatten(0, inputs.shape[:-1])


class CountedConvolution(Packed):
    def __init__(self, layer: Any, how: Quantization) -> None:
        super().__init__(layer, how)
        self.norm = layer.norm
        self.kernel, self.stride, self.padding, self.dilation = (
            list(each) for each in (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        normal = self.norm(inputs)
        box = normal.new_full((1, 1, *self.kernel), 1 / (self.kernel[0] * self.kernel[1]))
        mean = normal.abs().mean(1, keepdim=True)
        size = nn.functional.conv2d(mean, box, None, self.stride, self.padding, self.dilation)
        where = (self.kernel, self.stride, self.padding, self.dilation)
        counted = torch.ops.xnor.conv2d(normal, self.integers()[:, 0], *where)
        product = counted * (self.get_buffer(SCALES) / 2)[..., None] * size
        return product if self.bias is None else product + self.bias[:, None, None]


class Float8Linear(nn.Module):
    """Holds the weight as 8-bit floats with a scale for each output, and widens it at each call."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        rows = layer.weight.detach().float().cpu().numpy()
        scales = _float8.scales(rows)
        stored = torch.from_numpy(_float8.rounded(rows, scales)).view(torch.float8_e4m3fn)
        self.register_buffer(FLOAT8, stored)
        self.register_buffer(SCALES, torch.from_numpy(scales))
        self.bias = layer.bias

    def forward(self, inputs: Tensor) -> Tensor:
        weight = self.get_buffer(FLOAT8).to(torch.float32) * self.get_buffer(SCALES)
        return nn.functional.linear(inputs, weight, self.bias)


def unpacked(packed: Tensor, bits: int) -> Tensor:
    """Return the integers of (…, bytes), filled up to whole words; see `_packed` for their order.

    As few operations as will do: in a .pt2 each takes a kilobyte, in every layer.
    """
    if bits == 8:
        return packed
    if bits == 3:  # eight integers lie in three bytes
        padded = nn.functional.pad(packed, (0, -packed.shape[-1] % 3)) if packed.shape[-1] % 3 else packed
        packed = (padded.unflatten(-1, (-1, 3)).to(torch.int32) << torch.arange(0, 24, 8)).sum(-1)
    shifts = torch.arange(0, 24 if bits == 3 else 8, bits, dtype=packed.dtype)
    return ((packed[..., None] >> shifts) & (2**bits - 1)).flatten(-2)


def replace(model: nn.Module, quantization: Mapping[str, Quantization]) -> nn.Module:
    """Put packed layers in the place of the recorded ones, in place."""
    for name, how in quantization.items():
        layer: Any = model.get_submodule(name)
        made = _layer_for(layer, how)
        if made is None:
            raise WorkbenchError(
                f"{name} is a {type(layer).__name__}, whose weight others may read or which works otherwise: it can't be "
                "packed in a .pt2",
                next_move=f"skip={name}, or choose format onnx",
            )
        model.set_submodule(name, made)
    return model


def _layer_for(layer: Any, how: Quantization) -> nn.Module | None:
    if how.activations == "signs":
        return CountedLinear(layer, how) if isinstance(layer, nn.Linear) else CountedConvolution(layer, how)
    if how.scheme == "float8":
        return Float8Linear(layer) if type(layer) is nn.Linear else None
    if type(layer) is nn.Linear:
        return PackedLinear(layer, how)
    return PackedConvolution(layer, how) if type(layer) in CONVOLUTIONS and layer.padding_mode == "zeros" else None
