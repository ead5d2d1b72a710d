"""Set the weights to zero that are small and see small inputs, with no training and no weight changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workbench.compress import _activations, _rows
from workbench.errors import InvalidInput, WorkbenchError
from workbench.nouns import Layer, ModelCard
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import Tensor, nn

    from workbench.streamed import Streamed


class Wanda(Step):
    """Score |W_ij| · ‖X_j‖₂, X the inputs on calibration examples; ranked within each output's row, or its N:M groups.

    Our extensions: 2-d convolutions, whose inputs are unfolded to patches, and layers of any model, one after the other
    on what the pruned layers before give (the paper takes the layers of a transformer block together). Padding counts
    like any position. Weights that are zero already count first. Zeros are stored: bytes and milliseconds stay. On the
    LeNets and digits it falls behind magnitude above 60 %: rows are cut evenly, however much each matters.
    """

    title = "Wanda pruning"
    source = "Sun, Liu, Bair & Kolter, arXiv 2306.11695, eq. 1 and algorithm 1"
    searched = {"sparsity": (0.5, 0.7)}

    sparsity: float = param(
        0.5, help="Share of each output's weights set to zero; N:M patterns fix it at 0.5", gt=0, lt=1
    )
    pattern: Literal["unstructured", "2:4", "4:8"] = param(
        "unstructured", help="N of M neighbours stay, or any of a row"
    )
    num_calibration: int | None = param(
        None, help="Examples of the calibration split to use; none = all", unit="examples", ge=1, le=1_000_000
    )
    skip: list[str] = param([], help="Layers that keep all their weights")

    def why_not(self, card: ModelCard) -> list[str]:
        reasons = _rows.pattern_problems(self.pattern, self.sparsity)
        reasons += _rows.why_not(card, self.skip, group_size=_rows.PATTERNS[self.pattern][1])
        return reasons + _activations.why_not(card, self.skip)

    def preview(self, card: ModelCard) -> ModelCard:
        untouched = [*self.skip, *_activations.unseen(card)]
        return _rows.preview(card, untouched, self._density, group_size=_rows.PATTERNS[self.pattern][1])

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Prune in place; raises when no further weight became zero."""
        if problems := _rows.pattern_problems(self.pattern, self.sparsity):
            raise InvalidInput([f"wanda: {problem}" for problem in problems])
        examples = _activations.calibration(ctx, self.num_calibration, step="wanda")
        chosen = [name for name, _ in ctx.weights(model) if name not in self.skip]
        names = _rows.divisible(model, chosen, _rows.PATTERNS[self.pattern][1], ctx)
        num_changed = 0
        for name, squares in _activations.layer_by_layer(model, names, examples, ctx, reduce=_activations.squares):
            rows = _rows.as_rows(model, name)
            scores = (rows.abs() * squares.sqrt()[:, None]).masked_fill(rows == 0, -1.0)
            num_changed += _rows.write_back(model, name, rows.masked_fill(self._gone(scores), 0.0))
        if not num_changed:
            raise WorkbenchError("wanda set no further weight to zero", next_move="raise sparsity or drop the step")
        ctx.say(f"{num_changed} weights set to zero")
        return model

    def stream(self) -> Streamed | str:
        from workbench.compress import _streams

        return _streams.Calibrated(self.skip)

    def describe(self) -> str:
        return f"wanda {self.sparsity:.0%}" if self.pattern == "unstructured" else f"wanda {self.pattern}"

    def _gone(self, scores: Tensor) -> Tensor:
        if self.pattern == "unstructured":
            return _rows.lowest_per_row(scores, self.sparsity)
        return _rows.lowest_per_group(scores, *_rows.PATTERNS[self.pattern])

    def _density(self, layer: Layer) -> float:
        length = _rows.row_shape(layer)[1]
        return 1 - int(self.sparsity * length) / length
