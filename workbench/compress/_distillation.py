"""The loss of a student that learns from labels and from a teacher's softened answers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.extents import Extents
from workbench.part import Context
from workbench.spread import IGNORED_TARGET, Loss

if TYPE_CHECKING:
    from torch import Tensor, nn


TEMPERATURE, ALPHA = 4.0, 0.5  # where a step that is taught doesn't ask


def from_itself(model: nn.Module) -> Loss:
    """Return the loss of learning from a copy of the model as it is now."""
    return loss([copy.deepcopy(model).eval().requires_grad_(False)], temperature=TEMPERATURE, alpha=ALPHA)


def why_not_spread(extents: Extents) -> list[str]:
    """Refuse layouts under which a process doesn't hold the whole model."""
    if extents.tensor * extents.pipeline > 1 or extents.recompute:
        return ["the teacher answers whole on each process: use data_parallel, or sharded without recompute"]
    return []


def loss(
    teachers: Sequence[nn.Module],
    *,
    temperature: float,
    alpha: float,
    inside: Callable[[], Tensor] | None = None,
) -> Loss:
    """Return α · CE + (1 − α) · T² · KL as a loss for `ctx.train`; the teachers must be in eval mode.

    `inside` is asked after every pass for what the student is to learn beside the answers.
    """
    import torch

    def objective(student: nn.Module, inputs: dict[str, Tensor], targets: Tensor) -> Tensor:
        with torch.no_grad():
            taught = mean_answers([teacher.to(targets.device)(**inputs) for teacher in teachers], temperature)
        value = soft_and_hard(student(**inputs), taught, targets, temperature=temperature, alpha=alpha)
        return value + inside() if inside else value

    return objective


def mean_answers(logits: Sequence[Tensor], temperature: float) -> Tensor:
    """Return logits whose softened probabilities are the mean of those of several teachers."""
    from torch.nn.functional import log_softmax

    if len(logits) == 1:
        return logits[0]
    softened = sum(log_softmax(_at_least_float32(each) / temperature, -1).exp() for each in logits) / len(logits)
    return temperature * softened.clamp_min(1e-30).log()  # type: ignore[union-attr]


def soft_and_hard(logits: Tensor, taught: Tensor, targets: Tensor, *, temperature: float, alpha: float) -> Tensor:
    """Return the mean of α · CE + (1 − α) · T² · KL over examples or tokens; ignored targets count in neither part.

    `logits` and `taught` are (…, classes), `targets` (…).
    """
    from torch.nn.functional import cross_entropy, kl_div, log_softmax

    counted = targets.flatten() != IGNORED_TARGET
    logits, taught = (_at_least_float32(each.flatten(0, -2))[counted] for each in (logits, taught))
    hard = cross_entropy(logits, targets.flatten()[counted])
    soft = kl_div(
        log_softmax(logits / temperature, -1), log_softmax(taught / temperature, -1),
        log_target=True, reduction="batchmean",
    )  # fmt: skip
    return alpha * hard + (1 - alpha) * temperature**2 * soft


def _at_least_float32(numbers: Tensor) -> Tensor:
    return numbers if numbers.element_size() > 4 else numbers.float()


def check_same_answers(teacher: nn.Module, student: nn.Module, ctx: Context) -> None:
    """Raise unless both give answers of one shape for the same inputs."""
    import torch

    example = {name: torch.from_numpy(array[:2]).to(ctx.device) for name, array in ctx.data.train.inputs.items()}
    with torch.no_grad():
        taught, learned = (tuple(each.eval()(**example).shape[1:]) for each in (teacher, student))
    if taught != learned:
        raise WorkbenchError(
            f"the teacher answers {taught} per example, the student {learned}: they must have one task and the same classes",
            next_move="take both from the same data",
        )


def differ(one: nn.Module, other: nn.Module) -> bool:
    """Say whether any parameter of two modules of one build differs."""
    import torch

    return any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters()))
