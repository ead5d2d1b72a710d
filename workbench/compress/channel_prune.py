"""Remove whole channels and hidden units, so that the network really becomes smaller and faster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from workbench.compress import _channels, _gradients, _narrowed, _zeros
from workbench.errors import WorkbenchError
from workbench.nouns import ModelCard
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import Tensor, nn


class ChannelPrune(Step):
    """Importance of a channel, over all layers that it couples: Σ w² (magnitude), or |Σ w · ∂L/∂w| per batch (gradient).

    Layers whose widths hang together (residual sums, norms, depthwise convolutions, the next layer's inputs) shrink
    together. Outputs, attention heads and the residual stream of transformers stay: there the feed-forward width goes.
    """

    title = "Channel pruning"
    source = (
        "coupled groups: Fang et al., arXiv 2301.12900 (torch-pruning); magnitude: Li et al., arXiv 1608.08710 "
        "(with the L2 norm); gradient: Molchanov et al., arXiv 1906.10771, eq. 8 (absolute, not squared)"
    )
    requires = ("torch_pruning",)
    couples = True
    searched = {"ratio": (0.25, 0.375, 0.5, 0.625, 0.75), "importance": ("magnitude", "gradient")}

    ratio: float = param(0.5, help="Share of the channels of each layer to remove", gt=0, lt=1)
    importance: Literal["magnitude", "gradient"] = param("magnitude", help="What channels are ranked by")
    round_to: int = param(
        8, help="Widths become the nearest multiple of this; layers of at most this width stay whole", unit="channels",
        ge=1, le=512,
    )  # fmt: skip
    skip: list[str] = param([], help="Layers that keep all their weights")

    def why_not(self, card: ModelCard) -> list[str]:
        reasons = _zeros.why_not(card, self.skip)
        if self.importance == "gradient" and card.task == "unlabelled":
            reasons.append("importance=gradient needs labels, and this data has none")
        return reasons

    def preview(self, card: ModelCard) -> ModelCard:
        return _narrowed.preview(card, self._kept, self.skip)

    def only(self, layer: str, layers: Sequence[str]) -> list[str]:
        """Leave the next layer out of `skip` too: it loses the inputs that this one no longer makes."""
        place = list(layers).index(layer)
        return [name for name in layers if name not in layers[place : place + 2]]

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Cut in place; raises when no channel could go, or when the module's own code fixes a width that did."""
        import torch

        example = {name: torch.from_numpy(array[:2]).to(ctx.device) for name, array in ctx.data.train.inputs.items()}
        if converted := _channels.convert_conv1d(model):
            ctx.say(f"{converted} transposed layers (Conv1D) became equal linear layers")
        with torch.no_grad():
            shape = model.eval()(**example).shape
        graph = _channels.dependency_graph(model, example)
        skipped = [module for name, module in model.named_modules() if name in self.skip]
        groups = list(_channels.removable_groups(graph, skipped))
        scores = self._scores(model, groups, ctx)
        num_removed = sum(self._cut(graph, group, score) for group, score in zip(groups, scores))
        if not num_removed:
            raise WorkbenchError(
                f"channel_prune removed nothing: of {len(groups)} groups of layers that may shrink, none has channels "
                f"to spare at ratio={self.ratio:g}, round_to={self.round_to}",
                next_move="raise ratio, lower round_to, shorten skip, or drop the step",
            )
        _check_forward(model, example, shape)
        ctx.say(f"{num_removed} channels removed from {len(groups)} groups of layers")
        return model

    def describe(self) -> str:
        return f"channels −{self.ratio:.0%}"

    def _kept(self, width: int) -> int:
        return _channels.kept_width(width, self.ratio, self.round_to)

    def _scores(self, model: nn.Module, groups: list[Any], ctx: Context) -> list[Tensor]:
        """Return the importance of each group's channels, all taken before anything is cut."""
        from torch_pruning.pruner.importance import GroupMagnitudeImportance, GroupTaylorImportance

        if self.importance == "magnitude":
            rank = GroupMagnitudeImportance(p=2, group_reduction="sum", normalizer=None)
            return [rank(group) for group in groups]
        rank = GroupTaylorImportance(group_reduction="sum", normalizer=None, multivariable=True)
        sums: list[Any] = [0.0] * len(groups)
        for _ in _gradients.backward_per_batch(model, ctx.data.train, ctx):
            sums = [total + rank(group) for total, group in zip(sums, groups)]
        return sums

    def _cut(self, graph: Any, group: Any, scores: Tensor) -> int:
        """Remove the least important channels of one group; returns how many."""
        root = group[0].dep
        num_to_remove = len(scores) - self._kept(len(scores))
        if num_to_remove:
            graph.get_pruning_group(root.target.module, root.handler, _channels.lowest(scores, num_to_remove)).prune()
        return num_to_remove


def _check_forward(model: nn.Module, example: dict[str, Tensor], shape: Any) -> None:
    """Raise when the narrower model no longer runs, or gives outputs of another shape."""
    import torch

    advice = "name the layer whose width the module's code takes for granted in skip"
    try:
        with torch.no_grad():
            found = model(**example).shape
    except RuntimeError as error:
        raise WorkbenchError(f"the model does not run with fewer channels: {error}", next_move=advice) from error
    if found != shape:
        raise WorkbenchError(f"the outputs' shape went from {tuple(shape)} to {tuple(found)}", next_move=advice)
