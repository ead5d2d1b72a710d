"""Pruning of one layer column after column, where the weights still to come make up for each one that goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.compress import _rows
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Plan:
    """How much of a layer goes, and how."""

    pattern: str  # a key of _rows.PATTERNS
    sparsity: float  # of each block, when unstructured
    block_size: int  # columns whose mask is chosen together
    damping: float  # added to the diagonal of X Xᵀ, as a share of its mean


def pruned(rows: Tensor, gram: Tensor, plan: Plan) -> Tensor:
    """Return `rows` (groups, outputs, inputs) pruned, and corrected for `gram` = X Xᵀ (groups, inputs, inputs).

    What is zero before counts first and stays zero.
    """
    was_zero, changed = rows == 0, rows.double()
    factor = inverse_factor(gram, plan.damping)
    for start in range(0, rows.shape[-1], plan.block_size):
        end = min(start + plan.block_size, rows.shape[-1])
        block, of_block = changed[..., start:end], factor[:, start:end, start:end]
        errors = _prune_block(block, was_zero[..., start:end], of_block, plan)
        changed[..., end:] -= errors @ factor[:, start:end, end:]
    return changed


def inverse_factor(gram: Tensor, damping: float) -> Tensor:
    """Return the upper Cholesky factor of (X Xᵀ + λ I)⁻¹, λ = damping × mean of the diagonal; λ = 1 where nothing comes in."""
    import torch

    mean = gram.diagonal(dim1=-2, dim2=-1).mean(-1)
    added = torch.where(mean > 0, damping * mean, 1.0)
    damped = gram + added[:, None, None] * torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    try:
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
        return torch.linalg.cholesky(inverse, upper=True)
    except torch.linalg.LinAlgError as error:
        raise WorkbenchError(
            f"the inputs of a layer are too nearly dependent to be inverted with damping={damping:g}",
            next_move="raise damping, 0.01 is usual, or calibrate on more examples",
        ) from error


def _prune_block(rows: Tensor, was_zero: Tensor, factor: Tensor, plan: Plan) -> Tensor:
    """Prune a block of columns in place; returns the scaled errors that later blocks have to make up for."""
    import torch

    keep, group_size = _rows.PATTERNS[plan.pattern]
    diagonal = factor.diagonal(dim1=-2, dim2=-1)[:, None]
    errors = torch.zeros_like(rows)
    gone = was_zero.clone()
    if plan.pattern == "unstructured":
        gone |= _lowest_of_block(_scores(rows, was_zero, diagonal), plan.sparsity)
    for column in range(rows.shape[-1]):
        if plan.pattern != "unstructured" and column % group_size == 0:  # chosen late: on weights as corrected so far
            group = slice(column, column + group_size)
            scores = _scores(rows[..., group], was_zero[..., group], diagonal[..., group])
            gone[..., group] |= _rows.lowest_per_group(scores, keep, group_size)
        after = rows[..., column].masked_fill(gone[..., column], 0.0)
        errors[..., column] = (rows[..., column] - after) / diagonal[..., column]
        rows[..., column:] -= errors[..., column, None] * factor[:, None, column, column:]
        rows[..., column] = after
    return errors


def _scores(rows: Tensor, was_zero: Tensor, diagonal: Tensor) -> Tensor:
    """Return w² / [H⁻¹]ⱼⱼ as the factor gives it: what removing a weight costs once the others are corrected."""
    return (rows / diagonal).square().masked_fill(was_zero, -1.0)


def _lowest_of_block(scores: Tensor, share: float) -> Tensor:
    """Return a mask of the lowest share over all outputs and columns of a block, group by group."""
    return _rows.lowest_per_row(scores.flatten(1), share).view(scores.shape)
