"""Training with the rounding that a file will do: fake quantization of weights and inputs, straight-through gradients.

A weight scale per output channel commutes with a batch normalisation that is folded behind it (each row is only
multiplied by a number), so such weights need no folding here. One scale per layer does not: its rows are then rounded as
they will be once folded, by the running variance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from workbench.compress import _activations
from workbench.spread import AllRows

LARGEST = {8: 127, 4: 7}  # integer of a weight, of either sign, as the formats use them
STEPS = 255  # of uint8 inputs
MOMENTUM = 0.95  # of the moving averages of an input's ends
NORM = nn.modules.batchnorm._BatchNorm
INPUT = "fake_input"  # name of the module that a layer gets for a while


def rounded(weight: Tensor, *, bits: int, axis: int | None) -> Tensor:
    """Return the weight on its symmetric grid, one scale for each index of `axis` (None = one for all)."""
    others = [dim for dim in range(weight.ndim) if dim != axis]
    scale = weight.abs().amax(others, keepdim=True) / LARGEST[bits]
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return (weight / scale).round() * scale


class FakeWeight(nn.Module):
    """A parametrization: what the layer multiplies by is rounded, gradients pass as if it were not; zeros stay zero."""

    alive: Tensor

    def __init__(self, weight: Tensor, *, bits: int, axis: int | None, folded: Callable[[], Tensor] | None) -> None:
        super().__init__()
        self.bits, self.axis, self.folded = bits, axis, folded
        self.register_buffer("alive", weight.detach() != 0)

    def forward(self, weight: Tensor) -> Tensor:
        given = weight * self.alive
        with torch.no_grad():
            factor = self.folded() if self.folded else torch.ones((), device=given.device)
            on_grid = rounded(given * factor, bits=self.bits, axis=self.axis) / factor
        return on_grid + (given - given.detach())


class FakeInput(nn.Module):
    """Rounds to 256 steps between two ends: moving averages of what came in, or learned (LSQ, arXiv 1902.08153, eq. 3).

    Gradients pass inside the ends, and reach the ends themselves when they are learned.
    """

    def __init__(self, *, learned: bool, like: Tensor) -> None:
        super().__init__()
        ends = torch.zeros(2, dtype=like.dtype, device=like.device)
        self.ends = nn.Parameter(ends) if learned else nn.Buffer(ends)
        self.collects, self.follows, self.seen = True, not learned, False
        self.all_rows = AllRows()

    def forward(self, inputs: Tensor) -> Tensor:
        if self.collects or (self.follows and self.training):
            self._look(inputs.detach())
        if self.collects:
            return inputs
        ends = self._learned(inputs) if self.ends.requires_grad else self.ends
        low, high = ends[0].clamp(max=0), ends[1].clamp(min=0)
        scale = ((high - low) / STEPS).clamp(min=torch.finfo(inputs.dtype).tiny)
        zero = _straight(-low / scale)
        return ((_straight(inputs / scale) + zero).clamp(0, STEPS) - zero) * scale

    def _learned(self, inputs: Tensor) -> Tensor:
        num = self.all_rows.count(inputs.numel()) if torch.is_grad_enabled() else inputs.numel()
        return _less_steep(self.ends, (num * STEPS) ** -0.5)

    def _look(self, inputs: Tensor) -> None:
        """Widen the ends while they are collected, then let them follow; zero is always between them."""
        now = torch.stack([inputs.amin().clamp(max=0), inputs.amax().clamp(min=0)])
        before = self.ends.detach()
        if self.collects:
            now = torch.stack([torch.minimum(before[0], now[0]), torch.maximum(before[1], now[1])])
        else:
            now = self.all_rows.widest(now)
            now = MOMENTUM * before + (1 - MOMENTUM) * now
        self.ends.data.copy_(now)
        self.seen = True


def _straight(numbers: Tensor) -> Tensor:
    return numbers.round().detach() + (numbers - numbers.detach())


def _less_steep(numbers: Tensor, share: float) -> Tensor:
    """Return the same numbers, whose gradients become `share` of what they were."""
    return numbers.detach() + (numbers - numbers.detach()) * share


@contextmanager
def faked(
    model: nn.Module, names: list[str], *, bits: int, per_channel: bool, learned: bool, norms: Mapping[str, str]
) -> Iterator[dict[str, FakeInput]]:
    """Round weights and inputs of these layers inside the block; `norms` names the normalisation folded into a layer.

    Weights are ordinary ones again afterwards, as rounded; inputs of layers never called stay unseen.
    """
    inputs, hooks = dict[str, FakeInput](), list[Any]()
    for name in names:
        layer = model.get_submodule(name)
        weight = layer.get_parameter("weight")
        axis = (0 if isinstance(layer, nn.Linear) or weight.ndim > 2 else 1) if per_channel else None
        norm = None if per_channel or name not in norms else cast(Any, model.get_submodule(norms[name]))
        folded = partial(folding, norm, weight.ndim) if norm is not None else None
        fake = FakeWeight(weight, bits=bits, axis=axis, folded=folded)
        nn.utils.parametrize.register_parametrization(layer, "weight", fake)
        inputs[name] = FakeInput(learned=learned, like=weight)
        layer.add_module(INPUT, inputs[name])
        hooks.append(layer.register_forward_pre_hook(_with_fake_input, with_kwargs=True))
    try:
        yield inputs
    finally:
        for name, hook in zip(names, hooks):
            layer = model.get_submodule(name)
            hook.remove()
            delattr(layer, INPUT)
            _restore(layer)


def ranges(
    model: nn.Module, names: Sequence[str], run: Callable[[list[Any]], None], *, outputs: bool
) -> dict[str, tuple[float, float]]:
    """Return the ends of what each layer takes or gives while `run` runs, zero between them; `run` takes the hooks off."""
    found = dict[str, tuple[float, float]]()

    def look(name: str, numbers: Tensor) -> None:
        low, high = found.get(name, (0.0, 0.0))
        found[name] = (min(low, float(numbers.min())), max(high, float(numbers.max())))

    show = _activations.on_outputs if outputs else _activations.on_inputs
    run([show(model.get_submodule(name), partial(look, name)) for name in names])
    return found


def folding(norm: Any, rank: int) -> Tensor:
    """Return what folding a batch normalisation multiplies each output channel by, shaped for the weight; never 0."""
    scale: Tensor = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()
    return torch.where(scale.abs() > 1e-6, scale, torch.ones_like(scale)).view(-1, *[1] * (rank - 1))


def _with_fake_input(layer: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, Any]:
    fake = layer.get_submodule(INPUT)
    if args:
        return (fake(args[0]), *args[1:]), named
    first = next(iter(named))
    return args, {**named, first: fake(named[first])}


def _restore(layer: nn.Module) -> None:
    """Make the rounded weight an ordinary parameter."""
    nn.utils.parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    layer.register_parameter("weight", nn.Parameter(layer.get_parameter("weight").detach().clone()))
