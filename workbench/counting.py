"""Multiply-accumulates of each layer, counted in one forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


def kind_of(module: nn.Module) -> Any:
    """Return the kind of a module's weight, as `Layer.kind`."""
    from torch import nn

    if isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D":  # GPT-2's, a linear layer stored transposed
        return "linear"
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return "conv"
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return "embedding"
    return "norm" if "norm" in type(module).__name__.lower() else "other"


def macs_of(model: nn.Module, inputs: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, int]]:
    """Run a batch in eval mode; return the output and layer → multiply-accumulates for one example.

    Layers are linear ones and convolutions that the pass calls as modules. The model is left in the mode it was in.
    """
    import torch

    macs: dict[str, int] = {}
    batch = len(next(iter(inputs.values())))

    def count(name: str) -> Any:
        def hook(module: Any, _inputs: Any, output: Tensor) -> None:
            per_output = (
                module.weight[0].numel()
                if kind_of(module) == "conv"
                else module.weight.numel() // max(1, output.shape[-1])
            )
            macs[name] = macs.get(name, 0) + output.numel() * per_output // batch

        return hook

    computing = [(name, module) for name, module in model.named_modules() if kind_of(module) in ("linear", "conv")]
    hooks = [module.register_forward_hook(count(name)) for name, module in computing]
    training = model.training
    try:
        with torch.no_grad():
            output = model.eval()(**inputs)
    finally:
        model.train(training)
        for each in hooks:
            each.remove()
    return output, macs
