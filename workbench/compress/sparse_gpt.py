"""Set weights to zero and correct those that stay, so that each layer gives nearly what it gave before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workbench.compress import _activations, _compensating, _rows
from workbench.errors import InvalidInput, WorkbenchError
from workbench.nouns import ModelCard
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import nn

    from workbench.streamed import Streamed


class SparseGpt(Step):
    """Each layer's ‖W X − Ŵ X‖² on calibration inputs X is kept small: columns go in order, later ones make up for them.

    Masks are chosen block by block over all outputs of a layer, by w² / [H⁻¹]ⱼⱼ with H = X Xᵀ + λ I. Departures: layers
    follow one another on what the pruned ones before give (the paper: transformer block by block), convolutions are
    unfolded to patches, exact shares instead of a threshold, and weights that are zero already count first and stay zero.
    Zeros are stored: bytes and milliseconds stay. H takes inputs² numbers of a layer and time grows with inputs³.
    """

    title = "SparseGPT"
    source = "Frantar & Alistarh, arXiv 2301.00774, algorithm 1; column order, damping and factor as in their code"
    searched = {"sparsity": (0.5, 0.7, 0.8)}

    sparsity: float = param(
        0.5, help="Share of each layer's weights set to zero; N:M patterns fix it at 0.5", gt=0, lt=1
    )
    pattern: Literal["unstructured", "2:4", "4:8"] = param(
        "unstructured", help="N of M neighbours stay, or any of a block"
    )
    block_size: int = param(
        128, help="Columns whose mask is chosen together; a multiple of a pattern's M", unit="columns", ge=1, le=4096
    )
    damping: float = param(0.01, help="λ as a share of the mean of X Xᵀ's diagonal", gt=0, le=1)
    num_calibration: int | None = param(
        None, help="Examples of the calibration split to use; none = all", unit="examples", ge=1, le=1_000_000
    )
    skip: list[str] = param([], help="Layers that keep all their weights")

    def why_not(self, card: ModelCard) -> list[str]:
        reasons = self._pattern() + _rows.why_not(card, self.skip, group_size=self._group_size())
        return reasons + _activations.why_not(card, self.skip)

    def preview(self, card: ModelCard) -> ModelCard:
        untouched = [*self.skip, *_activations.unseen(card)]
        return _rows.preview(card, untouched, lambda _: 1 - self.sparsity, group_size=self._group_size())

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Prune and correct in place; raises when no further weight became zero."""
        if problems := self._pattern():
            raise InvalidInput([f"sparse_gpt: {problem}" for problem in problems])
        examples = _activations.calibration(ctx, self.num_calibration, step="sparse_gpt")
        chosen = [name for name, _ in ctx.weights(model) if name not in self.skip]
        names = _rows.divisible(model, chosen, self._group_size(), ctx)
        plan = _compensating.Plan(self.pattern, self.sparsity, self.block_size, self.damping)
        num_changed = 0
        for name, gram in _activations.layer_by_layer(model, names, examples, ctx, reduce=_activations.gram):
            rows = _rows.as_rows(model, name)
            num_changed += _rows.write_back(model, name, _compensating.pruned(rows, gram, plan))
        if not num_changed:
            raise WorkbenchError(
                "sparse_gpt set no further weight to zero", next_move="raise sparsity or drop the step"
            )
        ctx.say(f"{num_changed} weights set to zero, the others corrected")
        return model

    def stream(self) -> Streamed | str:
        from workbench.compress import _streams

        return _streams.Calibrated(self.skip)

    def describe(self) -> str:
        return f"SparseGPT {self.sparsity:.0%}" if self.pattern == "unstructured" else f"SparseGPT {self.pattern}"

    def _group_size(self) -> int:
        return _rows.PATTERNS[self.pattern][1]

    def _pattern(self) -> list[str]:
        reasons = _rows.pattern_problems(self.pattern, self.sparsity)
        if self.block_size % self._group_size():
            reasons.append(
                f"block_size={self.block_size} cuts groups of {self.pattern}: take a multiple of {self._group_size()}"
            )
        return reasons
