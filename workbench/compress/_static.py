"""What static quantization can find out before a file is made: ranges with least error, biases, the layers that suffer most."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from workbench.compress import _activations, _fake
from workbench.nouns import Examples
from workbench.part import Context

BINS = 2048
SHRINKS = [1 - 0.02 * index for index in range(46)]  # shares of the full range that the search tries

Ends = tuple[float, float]


def least_error_ranges(model: nn.Module, names: Sequence[str], examples: Examples) -> dict[str, Ends]:
    """Return for each layer the ends of its inputs that make the squared error of 256 steps least; zero lies between."""
    full = _fake.ranges(model, names, lambda hooks: _activations.passed(model, examples, hooks), outputs=False)
    counts = {name: torch.zeros(BINS, dtype=torch.float64) for name in full}

    def count(name: str, inputs: Tensor) -> None:
        low, high = full[name]
        counts[name] += torch.histc(inputs.detach().float(), BINS, low, max(high, low + 1e-12)).double().cpu()

    hooks = [_activations.on_inputs(model.get_submodule(name), partial(count, name)) for name in full]
    _activations.passed(model, examples, hooks)
    return {name: _narrowed(full[name], counts[name]) for name in full}


def _narrowed(full: Ends, counts: Tensor) -> Ends:
    low, high = full
    centres = low + (torch.arange(BINS, dtype=torch.float64) + 0.5) * (high - low) / BINS

    def error(share: float) -> float:
        scale = max(share * (high - low) / _fake.STEPS, 1e-12)
        zero = round(-share * low / scale)
        kept = ((centres / scale).round() + zero).clamp(0, _fake.STEPS) - zero
        return float((counts * (kept * scale - centres).square()).sum())

    best = min(SHRINKS, key=error)
    return best * low, best * high


def correct_biases(
    model: nn.Module, names: Sequence[str], examples: Examples, *, per_channel: bool, norms: Mapping[str, str]
) -> None:
    """Take the mean error that rounding the weights causes on these examples out of each layer's outputs, in place.

    It goes into the bias, into the running mean of the normalisation behind, or into a new bias. Every mean is that of the
    float model: E[W x] − E[Ŵ x] = (W − Ŵ) E[x], eq. 17.
    """
    means = {name: _mean_input(model, name, examples) for name in names}
    for name, mean in means.items():
        layer: Any = model.get_submodule(name)
        weight = layer.weight.detach()
        turned = not isinstance(layer, nn.Linear) and weight.ndim == 2
        norm: Any = model.get_submodule(norms[name]) if name in norms else None
        error = _rounding_error(weight, per_channel=per_channel, norm=norm, turned=turned)
        rows = (error.T if turned else error).flatten(1)
        shift = (rows.view(len(mean), -1, rows.shape[1]).double() @ mean[..., None]).flatten().to(weight.dtype)
        if layer.bias is not None:
            layer.bias.data -= shift
        elif norm is not None:
            norm.running_mean += shift
        else:
            layer.bias = nn.Parameter(-shift)


def _rounding_error(weight: Tensor, *, per_channel: bool, norm: Any, turned: bool) -> Tensor:
    factor = 1.0 if per_channel or norm is None else _fake.folding(norm, weight.ndim)
    axis = (1 if turned else 0) if per_channel else None
    return _fake.rounded(weight * factor, bits=8, axis=axis) / factor - weight


def _mean_input(model: nn.Module, name: str, examples: Examples) -> Tensor:
    """Return the mean of what each weight of an output multiplies: (groups, inputs of one output), float64."""

    def sums(inputs: Tensor) -> Tensor:
        return torch.cat([inputs, torch.ones_like(inputs[..., :1])], dim=-1).sum(1)

    total = _activations.reduced(model, name, examples, sums)
    return total[:, :-1] / total[:, -1:]


def most_sensitive(
    model: nn.Module,
    names: Sequence[str],
    examples: Examples,
    ctx: Context,
    *,
    count: int,
    per_channel: bool,
    norms: Any,
) -> list[str]:
    """Return the layers that change the model's outputs most when each alone is rounded, worst first: mean squared error."""
    wanted, found = _outputs(model, examples), dict[str, float]()
    for done, name in enumerate(names):
        ctx.say(f"trying {name} in int8", done=done, total=len(names), unit="layers")
        kept = model.get_submodule(name).get_parameter("weight").detach().clone()
        with _fake.faked(model, [name], bits=8, per_channel=per_channel, learned=False, norms=norms) as inputs:
            _activations.passed(model, examples, [])
            inputs[name].collects = False
            found[name] = float((_outputs(model, examples) - wanted).square().mean())
        model.get_submodule(name).get_parameter("weight").data.copy_(kept)
    return sorted(found, key=lambda name: -found[name])[:count]


def _outputs(model: nn.Module, examples: Examples) -> Tensor:
    from workbench.train import predict

    return cast(Callable[..., Tensor], torch.from_numpy)(predict(model, examples))
