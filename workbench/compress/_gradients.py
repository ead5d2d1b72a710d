"""Gradients of the task's loss, batch by batch, for the pruners that rank by them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.nouns import Examples
from workbench.part import Context
from workbench.spread import IGNORED_TARGET

if TYPE_CHECKING:
    from torch import nn


def backward_per_batch(model: nn.Module, examples: Examples, ctx: Context, *, batch_size: int = 64) -> Iterator[None]:
    """Leave the gradient of one batch's *summed* loss in `.grad` at each turn; summed over turns it is the split's.

    Eval mode: no dropout, and the running statistics of batch norms stay as they are, so that two calls agree bit for
    bit. The gradients are gone when the iteration ends.
    """
    import torch
    from torch.nn.functional import cross_entropy

    device = next(model.parameters()).device
    model.eval()
    for start in range(0, len(examples), batch_size):
        part = examples.take(slice(start, start + batch_size))
        targets = torch.from_numpy(part.targets).to(device).flatten()
        outputs = model(**{name: torch.from_numpy(array).to(device) for name, array in part.inputs.items()})
        loss = cross_entropy(outputs.flatten(0, -2).float(), targets, ignore_index=IGNORED_TARGET, reduction="sum")
        if not torch.isfinite(loss):
            raise WorkbenchError(
                f"the loss is {loss.item()} on examples {start} … {start + len(part) - 1}, so no gradient means anything",
                next_move="train the model first, or look at its weights",
            )
        model.zero_grad(set_to_none=True)
        loss.backward()
        ctx.say("gradients", done=min(start + batch_size, len(examples)), total=len(examples), unit="examples")
        yield
    model.zero_grad(set_to_none=True)
