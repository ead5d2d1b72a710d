"""The one training loop: seeded, says progress, can be cancelled, keeps pruned weights at zero.

Steps that change a model while it trains pass `loss` (what to minimise) or `on_batch` (called after each update).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.nouns import Examples

if TYPE_CHECKING:
    from torch import Tensor, nn

IGNORED_TARGET = -100  # positions that carry no loss, as in torch's cross_entropy

Loss = Callable[["nn.Module", "dict[str, Tensor]", "Tensor"], "Tensor"]


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
) -> dict[str, float]:
    """Train `model` in place on `examples`; returns {"loss": mean of the last epoch}.

    `loss(model, inputs, targets)` replaces cross-entropy; `on_batch(model, update)` runs after each update. Raises
    WorkbenchError when the loss stops being finite; `say` may raise to cancel between updates.
    """
    import torch

    device = next(model.parameters()).device
    inputs = {name: torch.from_numpy(array).to(device) for name, array in examples.inputs.items()}
    targets = torch.from_numpy(examples.targets).to(device)
    order = torch.Generator().manual_seed(seed)
    objective = loss or _cross_entropy(label_smoothing)
    update_rule = _optimizer(model, optimizer, learning_rate, weight_decay)
    num_batches = math.ceil(len(examples) / batch_size)
    total = epochs * num_batches
    rate = torch.optim.lr_scheduler.LambdaLR(update_rule, _schedule(schedule, total))
    frozen = pruned_positions(model) if keep_zeros else []
    model.train()
    done, mean = 0, 0.0
    for _epoch in range(epochs):
        sum_loss = 0.0
        for index in torch.randperm(len(examples), generator=order).split(batch_size):
            batch = {name: tensor[index] for name, tensor in inputs.items()}
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed_precision):
                value = _augmented(objective, model, batch, targets[index], augment, order)
            if not torch.isfinite(value):
                raise WorkbenchError(
                    f"the loss became {value.item()} at update {done} of {total}",
                    next_move="lower learning_rate, or set clip=1",
                )
            update_rule.zero_grad(set_to_none=True)
            value.backward()
            if clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            update_rule.step()
            rate.step()
            for weight, zero in frozen:
                weight.data.masked_fill_(zero, 0.0)
            done += 1
            if on_batch:
                on_batch(model, done)
            sum_loss += value.item() * len(index)
            say("training", done=done, total=total, unit="batches", values={"loss": value.item()})
        mean = sum_loss / len(examples)
    model.eval()
    return {"loss": mean}


def prunable(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """List (name, module) of layers whose weight may be pruned or quantized: linear and convolution layers.

    A weight that two modules share is left out: an output layer may be an embedding at the same time.
    """
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, Conv1D)
    uses = Counter(id(module._parameters.get("weight")) for module in model.modules())
    found = [(name, module) for name, module in model.named_modules() if isinstance(module, kinds)]
    return [(name, module) for name, module in found if uses[id(module.weight)] == 1]


def pruned_positions(model: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """List (weight, boolean mask of its exact zeros) for prunable layers that have any."""
    weights: list[Any] = [module.weight for _, module in prunable(model)]
    pairs = [(weight, weight.detach() == 0) for weight in weights]
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
    from torch.nn.functional import cross_entropy

    def objective(model: nn.Module, inputs: dict[str, Tensor], targets: Tensor) -> Tensor:
        outputs = model(**inputs)
        return cross_entropy(
            outputs.flatten(0, -2).float(),
            targets.flatten(),
            label_smoothing=label_smoothing,
            ignore_index=IGNORED_TARGET,
        )

    return objective


def _augmented(
    objective: Loss, model: nn.Module, inputs: Mapping[str, Tensor], targets: Tensor, augment: str, random: Any
) -> Tensor:
    """Mix each image with another of the batch (mixup, arXiv 1710.09412, alpha = 1; CutMix, arXiv 1905.04899)."""
    import torch

    if augment == "none" or len(targets) < 2:
        return objective(model, dict(inputs), targets)
    share = float(torch.rand((), generator=random))
    other = torch.randperm(len(targets), generator=random)
    mixed = {}
    for name, tensor in inputs.items():
        if not tensor.is_floating_point():
            raise WorkbenchError(
                f"augment={augment} mixes images; input {name!r} is {tensor.dtype}", next_move="augment=none"
            )
        if augment == "mixup":
            mixed[name] = share * tensor + (1 - share) * tensor[other]
        else:
            mixed[name], share = _cut(tensor, tensor[other], share, random)
    return share * objective(model, mixed, targets) + (1 - share) * objective(model, mixed, targets[other])


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
