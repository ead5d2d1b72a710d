"""Set whole blocks of weights to zero: where the zeros lie is told by far fewer bits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.compress import _rows, _zeros
from workbench.errors import WorkbenchError
from workbench.nouns import Layer, ModelCard
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import Tensor, nn


class BlockPrune(Step):
    """Blocks of `rows` outputs × `columns` weights of an output (convolutions: flattened channels × height × width).

    The blocks with the smallest mean |weight| of a layer go; what doesn't fill a block at a layer's edge is a smaller one.
    Accuracy falls sooner than with single weights, as good ones go with their neighbours. `coded` files need fewer bits to
    say where zeros are, if blocks have several rows; dense files store every zero, and no kernel here skips blocks, so milliseconds stay everywhere.
    """

    title = "Block pruning"
    source = (
        "Mao et al., arXiv 1705.08922, sections 3 and 4 (sum of absolute values of a block; its mean, for unequal ones)"
    )
    searched = {"sparsity": (0.5, 0.7, 0.8, 0.9)}

    sparsity: float = param(0.5, help="Share of each layer's blocks set to zero", gt=0, lt=1)
    rows: int = param(4, help="Outputs in a block", unit="weights", ge=1, le=512)
    columns: int = param(4, help="Neighbouring weights of an output in a block", unit="weights", ge=1, le=512)
    skip: list[str] = param([], help="Layers that keep all their weights")

    def why_not(self, card: ModelCard) -> list[str]:
        reasons = _zeros.why_not(card, self.skip)
        chosen = [layer for layer in card.layers if layer.prunable and layer.name not in self.skip]
        if chosen and not any(self._num_gone(layer) for layer in chosen):
            reasons.append(
                f"no layer has enough blocks of {self.rows} × {self.columns} for {self.sparsity:.0%} of them to be one"
            )
        if self.rows * self.columns == 1:
            reasons.append("blocks of one weight are magnitude_prune")
        return reasons

    def preview(self, card: ModelCard) -> ModelCard:
        def pruned(layer: Layer) -> Layer:
            if not layer.prunable or layer.name in self.skip:
                return layer
            density = 1 - self._num_gone(layer) / self._num_blocks(layer)
            return replace(layer, density=min(layer.density, density), zeros_together=self.rows * self.columns)

        return card.with_layers(tuple(map(pruned, card.layers)))

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Prune in place; raises when no further weight became zero."""
        num_changed = 0
        for name, _ in ctx.weights(model):
            if name not in self.skip:
                rows = _rows.as_rows(model, name)
                num_changed += _rows.write_back(model, name, rows.masked_fill(self._lowest(rows), 0.0))
        if not num_changed:
            raise WorkbenchError(
                "block_prune set no further weight to zero",
                next_move="raise sparsity, take smaller blocks, or drop the step",
            )
        ctx.say(f"{num_changed} weights set to zero in blocks of {self.rows} × {self.columns}")
        return model

    def describe(self) -> str:
        return f"prune {self.sparsity:.0%} in {self.rows} × {self.columns}"

    def _lowest(self, weights: Tensor) -> Tensor:
        """Return the mask of the blocks that go, of weights (groups, outputs, inputs); the share holds over all groups."""
        import torch

        (_, outputs, inputs), size = weights.shape, (self.rows, self.columns)
        pooled = torch.nn.functional.avg_pool2d(weights.abs()[:, None], size, ceil_mode=True)[
            :, 0
        ]  # edges: of what is there
        gone = torch.zeros(pooled.numel(), dtype=torch.bool)
        gone[torch.argsort(pooled.flatten(), stable=True)[: int(self.sparsity * pooled.numel())]] = True
        whole = gone.view_as(pooled).repeat_interleave(self.rows, 1).repeat_interleave(self.columns, 2)
        return whole[:, :outputs, :inputs]

    def _num_blocks(self, layer: Layer) -> int:
        """Return how many blocks a layer has, taking a grouped convolution for a whole one."""
        outputs, inputs = _rows.row_shape(layer)
        return -(-outputs // self.rows) * -(-inputs // self.columns)

    def _num_gone(self, layer: Layer) -> int:
        return int(self.sparsity * self._num_blocks(layer))
