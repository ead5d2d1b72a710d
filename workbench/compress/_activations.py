"""What reaches each layer on calibration examples, seen through hooks that never outlive the question."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.nouns import Examples, Layer, ModelCard
from workbench.part import Context

if TYPE_CHECKING:
    from torch import Tensor, nn

BATCH = 64  # examples in one pass
LARGEST_PIECE = 2**24  # numbers of unfolded input held at once

Reduce = Callable[["Tensor"], "Tensor"]
"""Inputs of a layer (groups, positions, weights of one output) in float64 → what is summed over all positions."""


def squares(inputs: Tensor) -> Tensor:
    """Reduce to Σ x² of each input: (groups, inputs)."""
    return inputs.square().sum(1)


def gram(inputs: Tensor) -> Tensor:
    """Reduce to X Xᵀ: (groups, inputs, inputs)."""
    return inputs.mT @ inputs


def unseen(card: ModelCard) -> list[str]:
    """Return the prunable layers whose inputs are not read here: convolutions that aren't two-dimensional."""
    return [layer.name for layer in card.layers if layer.prunable and not _is_seen(layer)]


def _is_seen(layer: Layer) -> bool:
    return layer.kind == "linear" or len(layer.weight_shape) == 4


def why_not(card: ModelCard, skip: Sequence[str]) -> list[str]:
    """Refuse models that have layers, but none whose inputs can be read."""
    left = [layer for layer in card.layers if layer.prunable and layer.name not in skip]
    if left and not any(map(_is_seen, left)):
        return ["reads the inputs of linear layers and two-dimensional convolutions, and there is neither"]
    return []


def calibration(ctx: Context, num_examples: int | None, *, step: str) -> Examples:
    """Return the first examples of the calibration split (None = all); raises when there are fewer, or none."""
    available = len(ctx.data.calibration)
    if not available:
        raise WorkbenchError(f"{step} needs calibration examples, and the split is empty", next_move="use other data")
    if num_examples is not None and num_examples > available:
        raise WorkbenchError(
            f"{step} was to calibrate on {num_examples} examples, the calibration split has {available}",
            next_move=f"num_calibration={available}, or none for all",
        )
    return ctx.data.calibration.take(slice(0, num_examples))


def layer_by_layer(
    model: nn.Module, names: Sequence[str], examples: Examples, ctx: Context, *, reduce: Reduce
) -> Iterator[tuple[str, Tensor]]:
    """Yield (layer, reduced inputs) in the order of the layers' first calls.

    Each is read when its turn comes, on the model as the caller has left it: changed up to the layer before. Layers that
    can't be read (never called as a module, other convolutions, nothing but zeros come in) are told and left out.
    """
    order = called(model, [name for name in names if _can_be_read(model.get_submodule(name))], examples)
    left = [name for name in names if name not in order]
    for done, name in enumerate(order):
        ctx.say(f"reading the inputs of {name}", done=done, total=len(order), unit="layers")
        found = reduced(model, name, examples, reduce)
        if bool(found.any()):
            yield name, found
        else:
            left.append(name)
    if left:
        ctx.say(f"left as they are, no inputs to read: {', '.join(left)}")


def called(model: nn.Module, names: Sequence[str], examples: Examples) -> list[str]:
    """Return those of `names` that are called as modules when the model runs, in the order of their first calls."""
    order: dict[str, None] = {}
    hooks = [
        model.get_submodule(name).register_forward_pre_hook(lambda *_, name=name: order.setdefault(name))
        for name in names
    ]
    passed(model, examples.take(slice(0, 2)), hooks)
    return list(order)


def reduced(model: nn.Module, name: str, examples: Examples, reduce: Reduce) -> Tensor:
    """Return the reduced inputs of one layer, summed over all its calls; raises when there are none, or they aren't finite."""
    module, total = model.get_submodule(name), list[Any]()

    def read(given: Tensor) -> None:
        for inputs in _pieces(module, given):
            total[:] = [sum(total) + reduce(inputs.double())]

    passed(model, examples, [on_inputs(module, read)])
    if not total:
        raise WorkbenchError(f"{name} is never called as a module, so it has no inputs", next_move=f"skip={name}")
    if not bool(total[0].isfinite().all()):
        raise WorkbenchError(
            f"NaN or infinite values reach {name} on the calibration examples",
            next_move="look at the weights of the layers before it: workbench layers RUN",
        )
    return total[0]


def on_inputs(layer: nn.Module, look: Callable[[Tensor], None]) -> Any:
    """Return a hook that shows each input of a layer, however it is called."""

    def show(_: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        look(next(iter((*args, *named.values()))))

    return layer.register_forward_pre_hook(show, with_kwargs=True)


def on_outputs(layer: nn.Module, look: Callable[[Tensor], None]) -> Any:
    def show(_: Any, __: Any, outputs: Tensor) -> None:
        look(outputs)

    return layer.register_forward_hook(show)


def of_channels(model: nn.Module, names: Sequence[str], examples: Examples, *, repeat: int, largest: bool) -> Tensor:
    """Return the largest or the mean size of what enters these layers, one number a channel, float32.

    All of them read the same channels, each of which is `repeat` consecutive inputs of a linear layer.
    """
    import torch

    found, counts = list[Any](), list[int]()

    def look(inputs: Tensor) -> None:
        by_channel = inputs.transpose(0, 1) if inputs.ndim == 4 else inputs.reshape(-1, inputs.shape[-1]).T
        sizes = by_channel.abs().reshape(by_channel.shape[0] // repeat, -1)
        found.append(sizes.amax(1) if largest else sizes.mean(1) * len(inputs))
        counts.append(len(inputs))

    passed(model, examples, [on_inputs(model.get_submodule(name), look) for name in names])
    stacked = torch.stack(found)
    return stacked.amax(0) if largest else stacked.sum(0) / sum(counts)


def passed(model: nn.Module, examples: Examples, hooks: Sequence[Any]) -> None:
    """Run the model in eval mode on all examples and take the hooks off again, whatever happens."""
    import numpy as np
    import torch

    device = next(model.parameters()).device
    try:
        with torch.no_grad():
            at_once = max(1, min(BATCH, LARGEST_PIECE // next(iter(examples.inputs.values()))[0].size))
            for start in range(0, len(examples), at_once):
                part = examples.take(slice(start, start + at_once)).inputs.items()
                model.eval()(**{key: torch.from_numpy(np.ascontiguousarray(array)).to(device) for key, array in part})
    finally:
        for hook in hooks:
            hook.remove()


def _can_be_read(module: nn.Module) -> bool:
    from torch import nn

    return isinstance(module, nn.Linear | nn.Conv2d) or type(module).__name__ == "Conv1D"


def _pieces(module: Any, inputs: Tensor) -> Iterator[Tensor]:
    """Yield a layer's inputs as (groups, positions, weights of one output), large unfolded images in pieces."""
    from torch import nn
    from torch.nn.functional import pad, unfold

    if not isinstance(module, nn.Conv2d):
        yield inputs.reshape(1, -1, inputs.shape[-1])
        return
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    padded = pad(inputs, module._reversed_padding_repeated_twice, mode=mode)
    size_of_one = padded[0].numel() * math.prod(module.kernel_size)
    for part in padded.split(max(1, LARGEST_PIECE // size_of_one)):
        unfolded = unfold(part, module.kernel_size, module.dilation, stride=module.stride)  # (N, C × kh × kw, places)
        yield unfolded.unflatten(1, (module.groups, -1)).permute(1, 0, 3, 2).flatten(1, 2)
