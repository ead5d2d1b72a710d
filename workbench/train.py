"""The one training loop: seeded, says progress, can be cancelled, keeps pruned weights at zero.

Steps that change a model while it trains pass `loss` (what to minimise) or `on_batch` (called after each update). Over how
many processes the work is spread, and how, is a `Spread`'s to know: one process is `Spread` itself, layouts bring others.
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from workbench._meter import Meter
from workbench.errors import WorkbenchError
from workbench.nouns import Examples
from workbench.spread import IGNORED_TARGET, Batch, Loss, Spread

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def fit(
    model: nn.Module,
    examples: Examples,
    *,
    seed: int,
    say: Callable[..., None],
    epochs: int = 20,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
    optimizer: str = "adamw",
    weight_decay: float = 0.01,
    schedule: str = "cosine",
    augment: str = "none",
    label_smoothing: float = 0.0,
    clip: float = 1.0,
    mixed_precision: bool = False,
    keep_zeros: bool = True,
    loss: Loss | None = None,
    on_batch: Callable[[nn.Module, int], None] | None = None,
    spread: Spread | None = None,
) -> dict[str, float]:
    """Train `model` in place on `examples`; returns {"loss": mean of the last epoch}.

    `loss(model, inputs, targets)` replaces cross-entropy; it is a mean over the targets that are not ignored, and asks the
    model by calling it. `on_batch(model, update)` runs after each update. Every process of a `spread` calls this with the same
    arguments; `batch_size` is that of all of them together. Raises WorkbenchError when the loss stops being finite; `say`
    may raise to cancel between updates.
    """
    import torch

    spread = spread or Spread()
    spread.place(model, seed=seed, mixed_precision=mixed_precision)
    say, device = spread.talk(say), spread.device
    whole = _on_device(examples, device)
    order = torch.Generator().manual_seed(seed)
    objective = loss or _cross_entropy(label_smoothing)
    rules = [_optimizer(module, optimizer, learning_rate, weight_decay) for module in spread.modules]
    total = epochs * math.ceil(len(examples) / batch_size)
    rate = _schedule(schedule, total)
    done, mean = 0, 0.0
    with contextlib.closing(spread):
        done_before, sum_before = spread.resume(rules)
        frozen = [pair for module in spread.modules for pair in pruned_positions(module)] if keep_zeros else []
        for module in spread.modules:
            module.train()
        meter = Meter(splits=device.type == "cpu")
        for _epoch in range(epochs):
            sum_loss = 0.0
            for batch in _shuffled(whole, batch_size, augment, order):
                done += 1
                if done <= done_before:
                    sum_loss = sum_before
                    meter.begin()
                    continue
                _set_rates(rules, learning_rate * rate(done - 1))
                value = _update(spread, rules, objective, batch, clip=clip, at=f"update {done - 1} of {total}")
                sum_loss += value * len(batch)
                for weight, zero in frozen:
                    weight.masked_fill_(zero, 0.0)
                if on_batch:
                    on_batch(model, done)
                spread.keep(rules, done=done, sum_loss=sum_loss)
                meter.count(examples=len(batch), targets=batch.num_targets())
                say("training", done=done, total=total, unit="batches", values={"loss": value}, sums=meter.sums)
            mean = sum_loss / len(examples)
        spread.end()
    model.eval()
    return {"loss": mean}


def _on_device(examples: Examples, device: torch.device) -> Batch:
    import torch

    inputs = {name: torch.from_numpy(array).to(device) for name, array in examples.inputs.items()}
    return Batch(inputs, ((1.0, torch.from_numpy(examples.targets).to(device)),))


def _shuffled(whole: Batch, batch_size: int, augment: str, random: Any) -> Iterator[Batch]:
    """Yield the batches of one epoch: every example once, in an order drawn by `random`, as is what `augment` mixes."""
    import torch

    for index in torch.randperm(len(whole), generator=random).split(batch_size):
        yield _augmented(whole.rows(index), augment, random)


def _set_rates(rules: list[Any], learning_rate: float) -> None:
    for rule in rules:
        for group in rule.param_groups:
            group["lr"] = learning_rate


def _update(spread: Spread, rules: list[Any], objective: Loss, batch: Batch, *, clip: float, at: str) -> float:
    """Learn from one batch; returns its loss."""
    for rule in rules:
        rule.zero_grad(set_to_none=True)
    value = spread.backward(objective, batch)
    if not math.isfinite(value):
        raise WorkbenchError(f"the loss became {value} at {at}", next_move="lower learning_rate, or set clip=1")
    if clip:
        spread.clip(clip)
    for rule in rules:
        rule.step()
    return value


def prunable(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """List (name, module) of layers whose weight may be pruned or quantized: linear and convolution layers.

    A weight that two modules share is left out: an output layer may be an embedding at the same time; so is an empty one.
    """
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, Conv1D)
    uses = Counter(id(module._parameters.get("weight")) for module in model.modules())
    found = [(name, module) for name, module in model.named_modules() if isinstance(module, kinds)]
    return [(name, module) for name, module in found if uses[id(module.weight)] == 1 and module.weight.numel()]


def pruned_positions(model: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """List (weight, boolean mask of its exact zeros) for prunable layers that have any."""
    weights: list[Any] = [module.weight.data for _, module in prunable(model)]
    weights = [weight.to_local() if hasattr(weight, "to_local") else weight for weight in weights]  # of a split one
    pairs = [(weight, weight == 0) for weight in weights]
    return [(weight, zero) for weight, zero in pairs if bool(zero.any())]


def predict(model: nn.Module, examples: Examples, *, batch_size: int = 256) -> Any:
    """Return the model's outputs on `examples` as one float32 array; leaves the model in eval mode."""
    import numpy as np
    import torch

    model.eval()
    device = next(model.parameters()).device
    outputs = []
    with torch.no_grad():
        for start in range(0, len(examples), batch_size):
            part = examples.take(slice(start, start + batch_size))
            batch = {
                name: torch.from_numpy(np.ascontiguousarray(array)).to(device) for name, array in part.inputs.items()
            }
            outputs.append(model(**batch).float().cpu().numpy())
    return np.concatenate(outputs)


def _cross_entropy(label_smoothing: float) -> Loss:
    import torch
    from torch.nn.functional import cross_entropy

    def objective(model: nn.Module, inputs: dict[str, Tensor], targets: Tensor) -> Tensor:
        outputs = model(**inputs)
        outputs = outputs if outputs.dtype == torch.float64 else outputs.float()
        return cross_entropy(
            outputs.flatten(0, -2),
            targets.flatten(),
            label_smoothing=label_smoothing,
            ignore_index=IGNORED_TARGET,
        )

    return objective


def _augmented(batch: Batch, augment: str, random: Any) -> Batch:
    """Mix each image with another of the batch (mixup, arXiv 1710.09412, alpha = 1; CutMix, arXiv 1905.04899)."""
    import torch

    if augment == "none" or len(batch) < 2:
        return batch
    share = float(torch.rand((), generator=random))
    other = torch.randperm(len(batch), generator=random)
    mixed = {}
    for name, tensor in batch.inputs.items():
        if not tensor.is_floating_point():
            raise WorkbenchError(
                f"augment={augment} mixes images; input {name!r} is {tensor.dtype}", next_move="augment=none"
            )
        if augment == "mixup":
            mixed[name] = share * tensor + (1 - share) * tensor[other]
        else:
            mixed[name], share = _cut(tensor, tensor[other], share, random)
    targets = batch.targets[0][1]
    return Batch(mixed, ((share, targets), (1 - share, targets[other])))


def _cut(images: Tensor, others: Tensor, share: float, random: Any) -> tuple[Tensor, float]:
    """Paste a rectangle of `others` (NCHW) into `images`; returns them and the true share that stayed."""
    import torch

    height, width = images.shape[-2:]
    cut_height, cut_width = int(height * math.sqrt(1 - share)), int(width * math.sqrt(1 - share))
    top = int(torch.randint(0, height - cut_height + 1, (), generator=random))
    left = int(torch.randint(0, width - cut_width + 1, (), generator=random))
    mixed = images.clone()
    mixed[..., top : top + cut_height, left : left + cut_width] = others[
        ..., top : top + cut_height, left : left + cut_width
    ]
    return mixed, 1 - cut_height * cut_width / (height * width)


def _optimizer(model: nn.Module, name: str, learning_rate: float, weight_decay: float) -> Any:
    import torch

    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trainable:
        raise WorkbenchError("the model has no trainable parameter", next_move="drop the training step")
    groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},  # biases and norms are not decayed
    ]
    if name == "sgd":
        return torch.optim.SGD(groups, lr=learning_rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=learning_rate)


def _schedule(name: str, total: int) -> Callable[[int], float]:
    warm_up = max(1, total // 20)

    def factor(update: int) -> float:
        if update < warm_up:
            return (update + 1) / warm_up
        if name == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (update - warm_up) / max(1, total - warm_up)))

    return factor
