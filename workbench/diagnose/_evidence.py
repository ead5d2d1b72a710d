"""Runs inside a fresh process: what reaches each layer before a step, and what became of its channels after it."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from workbench import catalog, machine, prefix
from workbench.job import Job
from workbench.nouns import Examples
from workbench.part import Step
from workbench.recorder import Recorder
from workbench.states import States, data_hash
from workbench.store import Store
from workbench.train import predict, prunable

MOST_VALUES = 200_000  # of one batch that enter a percentile


def of_layers(
    _: list[Any], *, job: Mapping[str, Any], step: Mapping[str, Any], store: str
) -> dict[str, dict[str, float]]:
    """Return for each layer of the model that `job` makes what `step` meets in it, and what it leaves.

    Keys: outlier (largest |input| / 99.9th percentile), beyond (share of validation inputs outside the range of the
    calibration examples that the step uses), spread (largest |weight| of an output / median over outputs), dead (share of
    channels that answered on calibration examples and don't after the step), shift (largest distance of a channel's mean
    from the running mean of the normalisation behind, in its deviations; absent where there is none).
    """
    made, planned = Job.from_json(job), catalog.make("compress", step)
    assert isinstance(planned, Step)
    splits = made.data.load()
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder, machine.Quiet() as quiet:
        said = Recorder(Path(folder), "evidence")
        states = States(made, splits, data_hash(splits), Store(Path(store)), said, quiet)
        before = states.after_all()
        after = states.after_one_more(planned, prefix.State(copy.deepcopy(before.model), dict(before.quantization)))
    used = splits.calibration.take(slice(0, getattr(planned, "num_calibration", None)))
    seen, new = _inputs(before.model, used), _inputs(before.model, splits.validation)
    answered, answers = _channels(before.model, used), _channels(after.model, used)
    shifts = _shifts(after.model, used)
    found: dict[str, dict[str, float]] = {}
    for name, module in prunable(before.model):
        if name in seen and name in new:
            found[name] = {
                "outlier": seen[name].largest / max(seen[name].usual, 1e-12),
                "beyond": new[name].share_outside(seen[name]),
                "spread": _spread(module),
                "dead": _dead(answered.get(name), answers.get(name)),
                **({"shift": shifts[name]} if name in shifts else {}),
            }
    return found


class _Seen:
    """The inputs of one layer over all batches."""

    def __init__(self) -> None:
        self.low, self.high, self.values = np.inf, -np.inf, list[np.ndarray]()

    def add(self, inputs: torch.Tensor) -> None:
        flat = inputs.detach().float().flatten()
        self.low, self.high = min(self.low, float(flat.min())), max(self.high, float(flat.max()))
        self.values.append(flat[:: max(1, len(flat) // MOST_VALUES)].cpu().numpy())

    @property
    def largest(self) -> float:
        return max(abs(self.low), abs(self.high))

    @property
    def usual(self) -> float:
        return float(np.percentile(np.abs(np.concatenate(self.values)), 99.9))

    def share_outside(self, other: _Seen) -> float:
        values = np.concatenate(self.values)
        return float(((values < other.low) | (values > other.high)).mean())


@contextmanager
def _hooked(model: nn.Module, on: Callable[[str, Any, Any], None]) -> Iterator[None]:
    """Call `on(name, inputs, outputs)` whenever a prunable layer is called."""
    hooks = [
        module.register_forward_hook(lambda _, given, answer, name=name: on(name, given[0], answer))
        for name, module in prunable(model)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _inputs(model: nn.Module, examples: Examples) -> dict[str, _Seen]:
    found: dict[str, _Seen] = {}
    with _hooked(model, lambda name, given, _: found.setdefault(name, _Seen()).add(given)):
        predict(model, examples)
    return found


def _channels(model: nn.Module, examples: Examples) -> dict[str, np.ndarray]:
    """Return by layer which of its channels give different answers at all."""
    ends: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    convolutions = {name for name, module in prunable(model) if isinstance(module, nn.modules.conv._ConvNd)}

    def look(name: str, _: Any, answer: torch.Tensor) -> None:
        rows = (answer.transpose(1, -1) if name in convolutions else answer).flatten(0, -2)
        low, high = rows.amin(0), rows.amax(0)
        if name in ends:
            low, high = torch.minimum(low, ends[name][0]), torch.maximum(high, ends[name][1])
        ends[name] = low, high

    with _hooked(model, look):
        predict(model, examples)
    return {name: (high > low).numpy() for name, (low, high) in ends.items()}


def _dead(before: np.ndarray | None, after: np.ndarray | None) -> float:
    if before is None or after is None or before.shape != after.shape:  # channels were removed, not silenced
        return 0.0
    return float((before & ~after).sum() / max(1, before.sum()))


def _spread(module: Any) -> float:
    weight = module.weight.detach()
    rows = weight.T if isinstance(module, Conv1D) else weight.flatten(1)  # GPT-2's linear layers are stored turned
    largest = rows.abs().amax(1)
    return float(largest.max() / largest.median().clamp(min=1e-12))


def _shifts(model: nn.Module, examples: Examples) -> dict[str, float]:
    """Return by the layer before it how far a normalisation's running means are off."""
    pairs: dict[str, Any] = {}
    last = ""
    layers = {id(module): name for name, module in prunable(model)}
    for module in model.modules():
        last = layers.get(id(module), last)
        if last and getattr(module, "running_mean", None) is not None:
            pairs[last] = module
    sums: dict[str, Any] = {}

    def add(name: str, norm: Any, given: torch.Tensor) -> None:
        axes = [axis for axis in range(given.ndim) if axis != 1]
        total, count = sums.get(name, (0.0, 0))
        sums[name] = total + given.detach().double().sum(axes), count + given.numel() // given.shape[1]

    hooks = [
        norm.register_forward_pre_hook(lambda norm, given, name=name: add(name, norm, given[0]))
        for name, norm in pairs.items()
    ]
    predict(model, examples)
    for hook in hooks:
        hook.remove()
    return {
        name: float(
            (
                (total / count - pairs[name].running_mean).abs() / (pairs[name].running_var + pairs[name].eps).sqrt()
            ).max()
        )
        for name, (total, count) in sums.items()
    }
