"""Keep the N largest of every M neighbouring weights: a regular pattern that some hardware can skip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.compress import _rows
from workbench.errors import InvalidInput, WorkbenchError
from workbench.nouns import ModelCard
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import nn

    from workbench.streamed import Streamed


class NMPrune(Step):
    """Groups lie along the inputs of one output (convolutions: flattened channels × height × width); |weight| ranks.

    Sparse tensor cores run 2:4 faster. Nothing here does: the formats store every zero and CPU kernels multiply by it,
    so bytes and milliseconds stay. Layers whose weights per output are no multiple of M stay whole, and the log names
    them. The paper prunes a trained model once and repeats its training: add a train step, which keeps the zeros.
    """

    title = "N:M pruning"
    source = "Mishra et al., arXiv 2104.08378 (without channel permutation)"

    keep: int = param(2, help="N: weights that stay in each group", unit="weights", ge=1, le=31)
    group_size: int = param(4, help="M: neighbouring weights in a group, more than N", unit="weights", ge=2, le=32)
    skip: list[str] = param([], help="Layers that keep all their weights")

    def why_not(self, card: ModelCard) -> list[str]:
        return self._pattern() + _rows.why_not(card, self.skip, group_size=self.group_size)

    def preview(self, card: ModelCard) -> ModelCard:
        density = min(1.0, self.keep / self.group_size)
        return _rows.preview(card, self.skip, lambda _: density, group_size=self.group_size)

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Prune in place; raises when no layer fits the groups, or no further weight became zero."""
        if problems := self._pattern():
            raise InvalidInput([f"n_m_prune: {problem}" for problem in problems])
        chosen = [name for name, _ in ctx.weights(model) if name not in self.skip]
        num_changed = 0
        for name in _rows.divisible(model, chosen, self.group_size, ctx):
            rows = _rows.as_rows(model, name)
            gone = _rows.lowest_per_group(rows.abs(), self.keep, self.group_size)
            num_changed += _rows.write_back(model, name, rows.masked_fill(gone, 0.0))
        if not num_changed:
            raise WorkbenchError(
                "n_m_prune set no further weight to zero", next_move="lower keep, raise group_size, or drop the step"
            )
        ctx.say(f"{num_changed} weights set to zero, {self.keep} of every {self.group_size} stay")
        return model

    def stream(self) -> Streamed | str:
        from workbench.compress import _streams

        return "; ".join(self._pattern()) or _streams.Pattern(self.keep, self.group_size, skip=self.skip)

    def describe(self) -> str:
        return f"prune {self.keep}:{self.group_size}"

    def _pattern(self) -> list[str]:
        if self.keep >= self.group_size:
            return [f"keep={self.keep} of group_size={self.group_size} removes nothing: keep fewer than group_size"]
        return []
