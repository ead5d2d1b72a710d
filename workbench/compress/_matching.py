"""What a student can learn of a teacher's insides: features through a regressor, and where its activity lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, mse_loss, normalize

from workbench.compress import _activations
from workbench.errors import WorkbenchError
from workbench.nouns import Examples
from workbench.train import prunable

DEPTHS = (1 / 3, 2 / 3, 1.0)  # of the layers before the last one, where none are named


class Matching(nn.Module):
    """Student and regressors trained together; `student` is what remains. Layers' outputs are read while either runs.

    Hints: mean square of (regressor(student) − teacher) over the teacher's mean square; a regressor is a 1 × 1 convolution or
    a linear layer. Attention: ‖a/‖a‖ − b/‖b‖‖² with a, b the sums of squares over channels at each position. Student maps are
    resized to the teacher's. Where one has positions and the other none, hints compare the means over positions.
    """

    def __init__(
        self, student: nn.Module, teacher: nn.Module, pairs: Mapping[str, str], example: dict[str, Tensor]
    ) -> None:
        super().__init__()
        self.student, self.pairs = student, tuple(pairs.items())
        self._seen: dict[tuple[str, str], Tensor] = {}
        self._hooks = [
            model.get_submodule(name).register_forward_hook(self._keep(role, name))
            for role, model, names in (("teacher", teacher, pairs), ("student", student, pairs.values()))
            for name in names
        ]
        with torch.no_grad():
            teacher.eval()(**example)
            student.eval()(**example)
        self.regressors = nn.ModuleList([self._regressor(pair) for pair in self.pairs])

    def forward(self, **inputs: Tensor) -> Tensor:
        return self.student(**inputs)

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def hints(self) -> Tensor:
        """Return the loss of the pass that both have just made."""
        losses = []
        for pair, regressor in zip(self.pairs, self.regressors):
            taught, learned = self._alike(pair)
            if taught.ndim == 4:
                learned = interpolate(regressor(learned), taught.shape[2:], mode="bilinear", align_corners=False)
            else:
                learned = regressor(learned)
            losses.append(mse_loss(learned, taught) / taught.square().mean().clamp_min(1e-12))
        return torch.stack(losses).mean()

    def attention(self) -> Tensor:
        """Return the loss of the pass that both have just made; raises when no pair has positions."""
        losses = []
        for pair in self.pairs:
            taught, learned = self._both(pair)
            if taught.ndim == learned.ndim == 4:
                a, b = (each.square().sum(1, keepdim=True) for each in (taught, learned))
                b = interpolate(b, a.shape[2:], mode="bilinear", align_corners=False)
            elif taught.ndim == learned.ndim == 3 and taught.shape[1] == learned.shape[1]:
                a, b = (each.square().sum(-1) for each in (taught, learned))
            else:
                continue
            losses.append((normalize(a.flatten(1)) - normalize(b.flatten(1))).square().sum(1).mean())
        if not losses:
            raise WorkbenchError(
                "attention needs layers with positions (maps or tokens) in teacher and student",
                next_move="name such layers in pairs, or use hints",
            )
        return torch.stack(losses).mean()

    def _keep(self, role: str, name: str) -> Any:
        def hook(_module: Any, _inputs: Any, output: Tensor) -> None:
            self._seen[role, name] = output

        return hook

    def _both(self, pair: tuple[str, str]) -> tuple[Tensor, Tensor]:
        return self._seen["teacher", pair[0]].detach(), self._seen["student", pair[1]]

    def _alike(self, pair: tuple[str, str]) -> tuple[Tensor, Tensor]:
        """Return both as maps, as tokens, or as vectors where they differ in kind."""
        taught, learned = self._both(pair)
        same_tokens = taught.ndim == learned.ndim == 3 and taught.shape[1] == learned.shape[1]
        if taught.ndim == learned.ndim and (taught.ndim != 3 or same_tokens):
            return taught, learned
        return _pooled(taught), _pooled(learned)

    def _regressor(self, pair: tuple[str, str]) -> nn.Module:
        taught, learned = self._alike(pair)
        if taught.ndim == 4:
            return nn.Conv2d(learned.shape[1], taught.shape[1], 1)
        return nn.Linear(learned.shape[-1], taught.shape[-1])


def pairs_of(teacher: nn.Module, student: nn.Module, given: Mapping[str, str], examples: Examples) -> dict[str, str]:
    """Return teacher's layer → student's layer: the given ones, else three at equal depths; raises for unknown names."""
    orders = [
        _activations.called(model, [name for name, _ in prunable(model)], examples) for model in (teacher, student)
    ]
    if not given:
        places: list[Sequence[str]] = [[order[round(depth * (len(order) - 2))] for depth in DEPTHS] for order in orders]
        return dict(zip(*places))
    unknown = [
        f"{who} has no layer {name!r} that is called as a module"
        for who, model, names in (("the teacher", teacher, given), ("the student", student, given.values()))
        for name in names
        if name not in dict(model.named_modules())
    ]
    if unknown:
        raise WorkbenchError("; ".join(unknown), next_move="workbench layers RUN lists the layers of a run")
    return dict(given)


def _pooled(features: Tensor) -> Tensor:
    """Return (N, channels): the mean over positions."""
    if features.ndim == 4:
        return features.mean((2, 3))
    return features.mean(1) if features.ndim == 3 else features
