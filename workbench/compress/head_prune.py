"""Remove whole attention heads, so that a transformer really becomes smaller and faster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from workbench.compress import _activations, _gradients, _heads, _zeros
from workbench.errors import WorkbenchError
from workbench.nouns import ModelCard
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import Tensor, nn

    from workbench.compress._heads import Attention


class HeadPrune(Step):
    """Every attention block loses the same share of its heads, those that count least; one stays at least.

    `gradient` is |∂L/∂m| with a mask m on what the head adds (= |Σ w · ∂L/∂w| over its columns of the output layer), summed
    over batches instead of examples. `activation`: Σ x² · ‖w‖² over those columns on calibration examples, what the head adds
    with its numbers taken as uncorrelated. `magnitude`: Σ w² of all that would go. Where queries share a key and value
    (grouped-query attention) they go together. Layers whose three projections are fused (GPT-2) are left alone.
    """

    title = "Head pruning"
    source = "Michel, Levy & Neubig, arXiv 1905.10650, section 4.1 (per block, not over the whole model)"
    searched = {"ratio": (0.25, 0.5), "importance": ("gradient",)}

    ratio: float = param(0.5, help="Share of the heads of each block to remove, rounded down", gt=0, lt=1)
    importance: Literal["magnitude", "gradient", "activation"] = param("gradient", help="What heads are ranked by")
    num_calibration: int | None = param(
        None, help="Examples that activations are read on; none = all", unit="examples", ge=1, le=1_000_000
    )
    skip: list[str] = param([], help="Layers whose block keeps all its heads")

    def why_not(self, card: ModelCard) -> list[str]:
        reasons = _zeros.unknown_layers(card, self.skip)
        if card.precision != "float32":
            reasons.append(f"weights are already {card.precision}: remove heads before that is decided")
        if self.importance == "gradient" and card.task == "unlabelled":
            reasons.append("importance=gradient needs labels, and this data has none")
        blocks = [block for block in _heads.of_card(card) if not set(block.layers) & set(self.skip)]
        if not blocks:
            reasons.append(
                "no attention whose heads are known: it takes layers named as in transformers, not fused ones"
            )
        elif not any(self._num_removed(block) for block in blocks):
            most = max(block.units for block in blocks)
            reasons.append(
                f"ratio={self.ratio:g} of at most {most} heads that can go one by one removes none: raise it"
            )
        return reasons

    def preview(self, card: ModelCard) -> ModelCard:
        """Return the card with narrower projections; exact."""
        blocks = [block for block in _heads.of_card(card) if not set(block.layers) & set(self.skip)]
        return _heads.preview(card, {block.query: block.units - self._num_removed(block) for block in blocks})

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Cut in place; raises when no head could go, or the module's own code fixes the number of heads."""
        import torch

        names = [name for name, _ in ctx.weights(model)]
        blocks = [block for block in _heads.of_model(model, names) if not set(block.layers) & set(self.skip)]
        blocks = [block for block in blocks if self._num_removed(block)]
        if not blocks:
            raise WorkbenchError("head_prune found no head to remove", next_move="raise ratio, or drop the step")
        scores = self._scores(model, blocks, ctx)
        for block, score in zip(blocks, scores):
            kept = torch.argsort(score, descending=True, stable=True)[: block.units - self._num_removed(block)]
            _heads.cut(model, block, sorted(kept.tolist()))
        _check_forward(model, ctx)
        num = sum(self._num_removed(block) * block.shared for block in blocks)
        ctx.say(f"{num} heads removed from {len(blocks)} attention blocks")
        return model

    def describe(self) -> str:
        return f"heads −{self.ratio:.0%}"

    def _num_removed(self, block: Attention) -> int:
        return min(int(self.ratio * block.units + 1e-9), block.units - 1)

    def _scores(self, model: nn.Module, blocks: list[Attention], ctx: Context) -> list[Tensor]:
        """Return (units,) for each block."""
        import torch

        def of_units(block: Attention, by_column: Tensor) -> Tensor:
            return torch.stack([by_column[list(block.columns(unit))].sum() for unit in range(block.units)])

        outputs: list[Any] = [model.get_submodule(block.output).weight for block in blocks]
        if self.importance == "gradient":
            sums: list[Any] = [0.0] * len(blocks)
            for _ in _gradients.backward_per_batch(model, ctx.data.train, ctx):
                moved = [(weight * weight.grad).detach().sum(0) for weight in outputs]
                sums = [total + of_units(block, each).abs() for total, block, each in zip(sums, blocks, moved)]
            return sums
        if self.importance == "activation":
            examples = _activations.calibration(ctx, self.num_calibration, step="head_prune")
            squares = [_activations.reduced(model, block.output, examples, _activations.squares)[0] for block in blocks]
            return [
                of_units(block, each * weight.detach().double().square().sum(0))
                for block, each, weight in zip(blocks, squares, outputs)
            ]
        return [self._magnitude(model, block) for block in blocks]

    @staticmethod
    def _magnitude(model: nn.Module, block: Attention) -> Tensor:
        import torch

        query, key, value, output = (model.get_submodule(name).weight.detach().square() for name in block.layers)  # type: ignore[operator,union-attr]
        wide, narrow = query.sum(1) + output.sum(0), key.sum(1) + value.sum(1)
        return torch.stack(
            [wide[list(block.columns(u))].sum() + narrow[list(block.rows(u))].sum() for u in range(block.units)]
        )


def _check_forward(model: nn.Module, ctx: Context) -> None:
    import torch

    example = {name: torch.from_numpy(array[:2]).to(ctx.device) for name, array in ctx.data.train.inputs.items()}
    try:
        with torch.no_grad():
            model.eval()(**example)
    except RuntimeError as error:
        raise WorkbenchError(
            f"the model does not run with fewer heads: {error}", next_move="name a layer of that block in skip"
        ) from error
