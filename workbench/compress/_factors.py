"""A linear layer as two thin ones after another: their shapes on a card, their values, and their place in the model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.compress._rows import row_shape
from workbench.errors import WorkbenchError
from workbench.nouns import Layer

if TYPE_CHECKING:
    from torch import Tensor, nn

DAMPING = 1e-6  # of the mean of X Xᵀ's diagonal: inputs that never move make it singular


def rank_of(num_outputs: int, num_inputs: int, ratio: float) -> int:
    """Return the largest rank whose two factors hold at most 1 − ratio of the weights; 0 = there is none."""
    return int((1 - ratio) * num_outputs * num_inputs / (num_outputs + num_inputs))


def split(layer: Layer, rank: int) -> tuple[Layer, Layer]:
    """Return a layer's factors as they will stand in the model: `name.0` (rank, inputs), `name.1` (outputs, rank)."""
    outputs, inputs = row_shape(layer)
    num_biases = layer.num_params - layer.num_weights
    positions = None if layer.macs is None else layer.macs // layer.num_weights
    shapes = {"0": (rank, inputs), "1": (outputs, rank)}
    first, second = (
        replace(
            layer,
            name=f"{layer.name}.{piece}",
            weight_shape=shape,
            num_params=shape[0] * shape[1] + (num_biases if piece == "1" else 0),
            macs=None if positions is None else positions * shape[0] * shape[1],
        )
        for piece, shape in shapes.items()
    )
    return first, second


def factors(weight: Tensor, rank: int, gram: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return A (rank, inputs) and B (outputs, rank) with B A ≈ W, in float64.

    With `gram` = X Xᵀ = S Sᵀ the SVD is that of W S, so that ‖W X − B A X‖ is smallest; without it ‖W − B A‖ is.
    """
    import torch

    root = torch.eye(weight.shape[1], dtype=torch.float64, device=weight.device) if gram is None else _root(gram)
    left, sizes, right = torch.linalg.svd(weight.double() @ root, full_matrices=False)
    scale = sizes[:rank].sqrt()
    inner = torch.linalg.solve_triangular(root, scale[:, None] * right[:rank], upper=False, left=False)
    return inner, left[:, :rank] * scale


def _root(gram: Tensor) -> Tensor:
    """Return the lower Cholesky factor of X Xᵀ + λ I; λ = 1 where nothing comes in."""
    import torch

    mean = float(gram.diagonal().mean())
    damped = gram + (DAMPING * mean if mean > 0 else 1.0) * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    return torch.linalg.cholesky(damped)


def put_in_place(model: nn.Module, name: str, inner: Tensor, outer: Tensor) -> None:
    """Put a Sequential of two linear layers wherever the module called `name` stands; its bias goes along as it is."""
    from torch import nn

    module = model.get_submodule(name)
    weights = [values.to(module.weight.dtype).contiguous() for values in (inner, outer)]  # type: ignore[arg-type]
    first, second = (
        nn.utils.skip_init(nn.Linear, each.shape[1], each.shape[0], bias=False, device=each.device, dtype=each.dtype)
        for each in weights
    )
    first.weight.data, second.weight.data = weights
    second.bias = module.bias  # type: ignore[assignment]
    pair = nn.Sequential(first, second).train(module.training)
    for place in [place for place, each in model.named_modules(remove_duplicate=False) if each is module]:
        model.set_submodule(place, pair)


def check_forward(model: nn.Module, inputs: dict[str, Tensor]) -> None:
    """Raise when the model's own code reads a weight that is no longer there."""
    import torch

    try:
        with torch.no_grad():
            model.eval()(**inputs)
    except (AttributeError, TypeError, RuntimeError) as error:
        raise WorkbenchError(
            f"the model does not run with split layers: {error}",
            next_move="name the layer whose weight the module's code reads itself in skip",
        ) from error
