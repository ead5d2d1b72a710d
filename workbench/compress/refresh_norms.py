"""Measure anew what batch normalisation takes away, after weights before it have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.compress import _activations
from workbench.errors import WorkbenchError
from workbench.nouns import ModelCard
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import nn


class RefreshNorms(Step):
    """Running means and variances become those of calibration examples; no weight is trained.

    Pruned or shared weights give other outputs than those that the statistics were taken from: channels come out shifted
    and scaled until this, or any training, has seen to them.
    """

    title = "Refresh batch normalisation"
    source = "Li et al., arXiv 2007.02491 (EagleEye), section 3.3: adaptive batch normalisation"

    num_calibration: int | None = param(
        None, help="Examples of the calibration split to use; none = all", unit="examples", ge=2, le=1_000_000
    )

    def why_not(self, card: ModelCard) -> list[str]:
        reasons = [f"weights are already {card.precision}"] if card.precision != "float32" else []
        if not any(layer.kind == "norm" for layer in card.layers):
            reasons.append("there is no batch normalisation in this model")
        return reasons

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Measure in place; raises when no layer keeps running statistics, or none has moved."""
        import torch

        norms: list[Any] = [module for module in model.modules() if getattr(module, "running_mean", None) is not None]
        if not norms:
            raise WorkbenchError(
                "refresh_norms found no normalisation with running statistics", next_move="drop the step"
            )
        examples = _activations.calibration(ctx, self.num_calibration, step="refresh_norms")
        if len(examples) % _activations.BATCH == 1:  # a batch of one has no variance
            examples = examples.take(slice(0, len(examples) - 1))
        if not len(examples):
            raise WorkbenchError("refresh_norms needs two calibration examples at least", next_move="use other data")
        before = [module.running_mean.clone() for module in norms]
        momenta = [module.momentum for module in norms]
        for module in norms:
            module.reset_running_stats()
            module.momentum = None  # a plain mean over the batches
        _activations.passed(model, examples, [module.register_forward_pre_hook(_counts) for module in norms])
        for module, momentum in zip(norms, momenta):
            module.momentum = momentum
            module.eval()
        if all(torch.equal(old, module.running_mean) for old, module in zip(before, norms)):
            raise WorkbenchError("refresh_norms moved no statistic", next_move="drop the step")
        ctx.say(f"{len(norms)} normalisations measured on {len(examples)} examples")
        return model

    def describe(self) -> str:
        return "refresh norms"


def _counts(module: nn.Module, _: Any) -> None:
    """Let a normalisation take its statistics from what comes in now, whatever mode the model is in."""
    module.train()
