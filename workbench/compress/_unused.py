"""Rows and columns of weights on which no answer to a training example depends: units that nothing reads, or that stay silent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from workbench.part import Context

if TYPE_CHECKING:
    from torch import Tensor, nn

BATCH = 256
SAME = 1e-4  # of the largest answer


def clear(model: nn.Module, layers: list[str], ctx: Context) -> int:
    """Set them to zero in these layers, in place; returns how many numbers were not zero. Answers on train stay as they are.

    An output goes, with its bias, when the gradient of a random direction of the answers is exactly zero there for every
    example; an input when it is zero itself. A single weight's gradient would not do: it is zero too where a weight keeps
    another unit silent; nor would that of the loss, which is flat where a model is sure. Activations for which silence isn't
    zero are met by comparing the answers: everything is put back then.
    """
    import torch

    modules: dict[str, Any] = {
        name: module for name in layers if getattr(module := model.get_submodule(name), "groups", 1) == 1
    }
    model.eval()
    dead = _dead(model, modules, ctx)
    before = [outputs.detach() for outputs in _answers(model, ctx)]
    kept = {name: [each.detach().clone() for each in module._parameters.values() if each is not None] for name, module in modules.items()}  # fmt: skip
    num_cleared = 0
    with torch.no_grad():
        for name, module in modules.items():
            outputs, inputs = dead[name]
            num_cleared += _zero(module, outputs, inputs)
        after = list(_answers(model, ctx))
        largest = max(float(each.abs().max()) for each in before)
        if any(float((one - other).abs().max()) > SAME * largest for one, other in zip(before, after)):
            for name, module in modules.items():
                for parameter, old in zip([p for p in module._parameters.values() if p is not None], kept[name]):
                    parameter.copy_(old)
            ctx.say("units that looked unused are not: nothing dropped")
            return 0
    return num_cleared


def _zero(module: Any, outputs: Tensor, inputs: Tensor) -> int:
    """Zero dead rows with their bias, and dead columns; returns how many numbers were not zero."""
    weight, bias = module.weight, module._parameters.get("bias")
    turned = _is_turned(module)
    mask = outputs.view(-1, 1) | inputs.view(1, -1)
    mask = (mask.T if turned else mask).reshape(*mask.T.shape if turned else mask.shape, *[1] * (weight.ndim - 2))
    num = int(((weight != 0) & mask).sum())
    weight.masked_fill_(mask, 0.0)
    if bias is not None:
        num += int(((bias != 0) & outputs).sum())
        bias.masked_fill_(outputs, 0.0)
    return num


def _is_turned(module: Any) -> bool:
    """Say whether the weight is (inputs, outputs), as in transformers' Conv1D."""
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, Conv1D)


def _answers(model: nn.Module, ctx: Context) -> Iterator[Tensor]:
    import torch

    for start in range(0, len(ctx.data.train), BATCH):
        part = ctx.data.train.take(slice(start, start + BATCH))
        yield model(**{name: torch.from_numpy(array).to(ctx.device) for name, array in part.inputs.items()})


def _dead(model: nn.Module, modules: dict[str, Any], ctx: Context) -> dict[str, tuple[Tensor, Tensor]]:
    """Return (dead outputs, dead inputs) of each layer, over every example and position."""
    import torch

    seen: list[tuple[str, Tensor]] = []
    reached: dict[str, tuple[Tensor, Tensor]] = {}

    def keep(name: str) -> Any:
        def hook(module: Any, given: Any, output: Tensor) -> None:
            _join(reached, name, 1, _any(given[0].detach() != 0, module))
            seen.append((name, output))

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    random = torch.Generator().manual_seed(ctx.seed)
    try:
        for outputs in _answers(model, ctx):
            direction = torch.randn(outputs.shape, generator=random).to(outputs)
            found = torch.autograd.grad((outputs * direction).sum(), [each for _, each in seen], allow_unused=True)
            for (name, output), gradient in zip(seen, found):
                flow = torch.zeros_like(output) if gradient is None else gradient
                _join(reached, name, 0, _any(flow != 0, modules[name]))
            seen.clear()
    finally:
        for hook in hooks:
            hook.remove()
    return {name: (~outputs, ~inputs) for name, (outputs, inputs) in reached.items()}


def _join(reached: dict[str, Any], name: str, place: int, mask: Tensor) -> None:
    pair = list(reached.get(name, (None, None)))
    pair[place] = mask if pair[place] is None else pair[place] | mask
    reached[name] = tuple(pair)


def _any(mask: Tensor, module: Any) -> Tensor:
    """Return, for each feature (the last axis) or channel (the axis of a convolution), whether any number of it is set."""
    axis = mask.ndim - 1 if module.weight.ndim == 2 else mask.ndim + 1 - module.weight.ndim
    others = [each for each in range(mask.ndim) if each != axis]
    return mask.any(dim=others) if others else mask
