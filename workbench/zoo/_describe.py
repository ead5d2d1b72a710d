"""Reads a card off a real module: layers, parameters, and multiply-accumulates counted in one forward pass."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from workbench.counting import kind_of, macs_of
from workbench.errors import WorkbenchError
from workbench.nouns import DataCard, Layer, ModelCard, TensorSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

BATCH = 2  # examples in the pass


def card_of(model: nn.Module, data: DataCard, **facts: Any) -> ModelCard:
    """Return the card of `model` (weights may be on meta) for inputs shaped as in `data`; `facts` are further fields.

    A weight that several modules share is counted once and not prunable. `macs` is None for a layer that the pass never
    called as a module, and for recurrent and other unusual layers. Raises WorkbenchError when the model can't take the data.
    """
    output, macs = _passed(model, data)
    uses = Counter(id(weight) for module in model.modules() if (weight := _weight(module)) is not None)
    counted: set[int] = set()
    layers = []
    for name, module in model.named_modules():
        own = [parameter for parameter in module._parameters.values() if parameter is not None]
        if own:
            num_params = sum(parameter.numel() for parameter in own if id(parameter) not in counted)
            counted.update(map(id, own))
            parent = model.get_submodule(name.rpartition(".")[0])
            layers.append(_layer(name, module, num_params, macs.get(name), uses, _head_width(module, parent)))
    outputs = (TensorSpec("logits", "float32", ("batch", *output.shape[1:])),)
    num_params = sum(layer.num_params for layer in layers)
    return ModelCard(
        task=data.task, inputs=data.inputs, outputs=outputs, layers=tuple(layers), num_params=num_params, **facts
    )


def _layer(
    name: str, module: nn.Module, num_params: int, macs: int | None, uses: Counter[int], head_width: int
) -> Layer:
    kind, weight = kind_of(module), _weight(module)
    computes = kind in ("linear", "conv")
    return Layer(
        name=name,
        kind=kind,
        weight_shape=() if weight is None else tuple(weight.shape),
        num_params=num_params,
        macs=macs if computes or _computes_otherwise(module, kind) else 0,
        prunable=computes and uses[id(weight)] == 1 and bool(weight is not None and weight.numel()),
        head_width=head_width,
    )


def _head_width(module: nn.Module, parent: nn.Module) -> int:
    """Return the width of a head for the projections of an attention module that says it; 0 for everything else."""
    width = getattr(parent, "head_dim", None) or getattr(parent, "attention_head_size", 0)
    return width if kind_of(module) == "linear" and isinstance(width, int) else 0


def _computes_otherwise(module: nn.Module, kind: str) -> bool:
    """Say whether a module multiplies by weights in a way that isn't counted here."""
    from torch import nn

    weight = _weight(module)
    is_matrix = kind == "other" and weight is not None and weight.ndim > 1
    return is_matrix or isinstance(module, nn.RNNBase | nn.RNNCellBase | nn.MultiheadAttention)


def _passed(model: nn.Module, data: DataCard) -> tuple[Tensor, dict[str, int]]:
    """Run one small batch; return the output and layer → multiply-accumulates for one example."""
    import torch

    try:
        output, macs = macs_of(model, _inputs(model, data))
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        shapes = {spec.name: spec.shape for spec in data.inputs}
        raise WorkbenchError(
            f"the model can't take {shapes}: {error}", next_move="change the model's input size or pick other data"
        ) from error
    if not isinstance(output, torch.Tensor) or output.ndim < 2 or len(output) != BATCH:
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise WorkbenchError(
            f"a batch of {BATCH} gave {shape}", next_move="return logits (N, classes), or (N, T, vocabulary)"
        )
    return output, macs


def _inputs(model: nn.Module, data: DataCard) -> dict[str, Tensor]:
    """Return a batch of ones (tokens, masks) and zeros (pixels) on the model's device."""
    import torch

    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    batch = {}
    for spec in data.inputs:
        shape = [BATCH if extent == "batch" else int(extent) for extent in spec.shape]
        fill = torch.zeros if spec.dtype.startswith("float") else torch.ones
        batch[spec.name] = fill(shape, dtype=getattr(torch, spec.dtype), device=device)
    return batch


def _weight(module: nn.Module) -> Any:
    """Return the module's own `weight` parameter; None when it has none."""
    return module._parameters.get("weight")
