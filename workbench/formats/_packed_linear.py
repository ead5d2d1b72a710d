"""A linear layer that holds packed integers and widens them anew at each call: torch operations only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from workbench.errors import WorkbenchError
from workbench.formats import _packed
from workbench.nouns import Quantization

SCALES, ZEROS = "scales", "zeros"


def marker(bits: int, num_inputs: int) -> str:
    """Return the name of the buffer with the integers: with its shape it tells a reader all that unpacking takes."""
    return f"int{bits}_of_{num_inputs}"


class PackedLinear(nn.Module):
    """Computes what `layer` does, from the grid of `how`; a call is slower, for it unpacks every weight first."""

    def __init__(self, layer: nn.Linear, how: Quantization) -> None:
        super().__init__()
        packed = _packed.pack(how)
        self.bits, self.num_inputs = packed.bits, packed.num_inputs
        self.register_buffer(marker(packed.bits, packed.num_inputs), torch.from_numpy(packed.integers))
        self.register_buffer(SCALES, torch.from_numpy(packed.scales))
        if packed.zeros is not None:
            self.register_buffer(ZEROS, torch.from_numpy(packed.zeros))
        self.bias = layer.bias

    def forward(self, inputs: Tensor) -> Tensor:
        return nn.functional.linear(inputs, self.widened(), self.bias)

    def widened(self) -> Tensor:
        """Return the float32 weight (outputs, inputs): (integer − zero) · scale."""
        scales = self.get_buffer(SCALES)
        integers = unpacked(self.get_buffer(marker(self.bits, self.num_inputs)), self.bits)
        wide = ((integers - self._zeros(scales.shape[1])) * scales[..., None]).flatten(1)
        return wide if wide.shape[1] == self.num_inputs else wide[:, : self.num_inputs]

    def _zeros(self, num_blocks: int) -> Tensor | float:
        zeros = self._buffers.get(ZEROS)
        if zeros is None:
            return float(2 ** (self.bits - 1))  # a float: bytes less an integer would wrap around
        if zeros.dtype == torch.uint8:
            zeros = unpacked(zeros, self.bits)[:, :num_blocks].float()
        return zeros[..., None]


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
        if type(layer) is not nn.Linear:
            raise WorkbenchError(
                f"{name} is a {type(layer).__name__}, whose weight others may read: it can't be packed in a .pt2",
                next_move=f"skip={name}, or choose format onnx",
            )
        model.set_submodule(name, PackedLinear(layer, how))
    return model
