"""What a linear layer gets to see of the calibration split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.part import Context

if TYPE_CHECKING:
    from torch import Tensor, nn


def second_moment(
    model: nn.Module, layer: str, ctx: Context, *, num_examples: int | None, batch_size: int = 64
) -> Tensor:
    """Return the mean of x xᵀ over all inputs x of a layer (every position of an example counts), float64.

    Raises WorkbenchError when there are too few examples, the layer isn't called, or an input is no number.
    """
    import torch

    examples = ctx.data.calibration
    if num_examples is not None and num_examples > len(examples):
        raise WorkbenchError(
            f"{num_examples} calibration examples were asked for, the calibration split has {len(examples)}",
            next_move=f"num_calibration={len(examples)}, or none for all",
        )
    count, module = num_examples or len(examples), model.get_submodule(layer)
    assert isinstance(module, torch.nn.Linear)
    width, device = module.in_features, module.weight.device
    total, num_seen = torch.zeros(width, width, dtype=torch.float64, device=device), 0

    def see(_: Any, inputs: tuple[Tensor, ...]) -> None:
        nonlocal num_seen
        rows = inputs[0].reshape(-1, width).double()
        total.addmm_(rows.T, rows)
        num_seen += len(rows)

    hook = module.register_forward_pre_hook(see)
    try:
        with torch.no_grad():
            for start in range(0, count, batch_size):
                part = examples.take(slice(start, min(start + batch_size, count)))
                model.eval()(**{name: torch.from_numpy(array).to(device) for name, array in part.inputs.items()})
    finally:
        hook.remove()
    if not num_seen:
        raise WorkbenchError(f"{layer} is never called, so it has no inputs", next_move=f"skip={layer}, or method=rtn")
    if not bool(torch.isfinite(total).all()):
        raise WorkbenchError(f"{layer} gets NaN or infinity on calibration examples", next_move="look at the data")
    return total / num_seen
