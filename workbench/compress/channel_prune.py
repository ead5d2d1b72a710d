"""Remove whole channels and hidden units, so that the network really becomes smaller and faster."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from workbench import counting
from workbench.compress import _channels, _importance, _narrowed, _zeros
from workbench.errors import WorkbenchError
from workbench.nouns import ModelCard
from workbench.params import param
from workbench.part import Context, Step

if TYPE_CHECKING:
    from torch import Tensor, nn

HUNDREDTHS = 99
MOST = HUNDREDTHS / 100  # share of the channels that may go


class ChannelPrune(Step):
    """Importance of a channel, over all layers that it couples: Σ w² (magnitude), |Σ w · ∂L/∂w| per batch (gradient), or
    Σ x² · ‖w‖² over the layers that read it, on calibration examples (activation; inputs taken as uncorrelated).

    Every layer loses the same share of its channels. `target` says of what `ratio` is the share: of channels, or the
    smallest such share (found in steps of a hundredth) that removes so much of the multiply-accumulates or parameters.
    A latency is no target of a step, whose result must not depend on a clock: `workbench reach`. Layers whose widths hang together (residual sums, norms, depthwise convolutions, the next layer's inputs) shrink
    together. Outputs, attention heads and the residual stream of transformers stay: there the feed-forward width goes.
    """

    title = "Channel pruning"
    source = (
        "coupled groups: Fang et al., arXiv 2301.12900 (torch-pruning); magnitude: Li et al., arXiv 1608.08710 "
        "(with the L2 norm); gradient: Molchanov et al., arXiv 1906.10771, eq. 8 (absolute, not squared); activation: the "
        "reconstruction view of ThiNet, Luo et al., arXiv 1707.06342, without the cross terms"
    )
    requires = ("torch_pruning",)
    couples = True
    searched = {"ratio": (0.25, 0.375, 0.5, 0.625, 0.75), "importance": ("magnitude", "gradient")}

    ratio: float = param(0.5, help="Share to remove of what target names", gt=0, lt=1)
    target: Literal["channels", "macs", "params"] = param("channels", help="What ratio is a share of")
    importance: Literal["magnitude", "gradient", "activation"] = param("magnitude", help="What channels are ranked by")
    round_to: int = param(
        8, help="Widths become the nearest multiple of this; layers of at most this width stay whole; 0 = blocks of this machine",
        unit="channels", ge=0, le=512,
    )  # fmt: skip
    num_calibration: int | None = param(
        None, help="Examples that activations are read on; none = all", unit="examples", ge=1, le=1_000_000
    )
    skip: list[str] = param([], help="Layers that keep all their weights")

    def why_not(self, card: ModelCard) -> list[str]:
        reasons = _zeros.why_not(card, self.skip)
        if self.importance == "gradient" and card.task == "unlabelled":
            reasons.append("importance=gradient needs labels, and this data has none")
        if self.target == "macs" and card.macs is None:
            reasons.append("target=macs needs the operations of every layer, and some aren't known: target=params")
        elif self.target != "channels" and self._share_for(self._removed_of_card(card)) is None:
            most = self._removed_of_card(card)(MOST)
            reasons.append(
                f"at most {most:.0%} of the {self.target} can go with round_to={self._block()}: lower ratio or round_to"
            )
        return reasons

    def preview(self, card: ModelCard) -> ModelCard:
        share = (
            self._share_for(self._removed_of_card(card))
            if card.macs is not None or self.target == "params"
            else self.ratio
        )
        return _narrowed.preview(card, self._kept(share or MOST), self.skip)

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
        share = self._share_for(lambda share: self._removed_of_model(model, example, share))
        if share is None:
            raise WorkbenchError(
                f"so many {self.target} can't be removed", next_move="lower ratio or round_to, shorten skip"
            )
        graph, groups = self._groups(model, example)
        scores = _importance.scores(self.importance, model, graph, groups, ctx, num_calibration=self.num_calibration)
        kept = self._kept(share)
        num_removed = sum(_cut(graph, group, score, kept(len(score))) for group, score in zip(groups, scores))
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
        return (
            f"channels −{self.ratio:.0%}"
            if self.target == "channels"
            else f"{self.target} −{self.ratio:.0%} by channels"
        )

    def _block(self) -> int:
        return self.round_to or _channels.block_of_this_machine()

    def _kept(self, share: float) -> Callable[[int], int]:
        """Return what stays of a width when `share` of each layer's channels go."""
        return partial(_channels.kept_width, ratio=share, round_to=self._block())

    def _share_for(self, removed: Callable[[float], float]) -> float | None:
        """Return the share of channels that meets the target; None when none does. `removed`: share of channels → of the target."""
        if self.target == "channels":
            return self.ratio
        few, many = 0, HUNDREDTHS
        if removed(MOST) < self.ratio:
            return None
        while many - few > 1:  # the fewest hundredths that remove enough
            middle = (few + many) // 2
            few, many = (few, middle) if removed(middle / 100) >= self.ratio else (middle, many)
        return many / 100

    def _removed_of_card(self, card: ModelCard) -> Callable[[float], float]:
        def removed(share: float) -> float:
            after = _narrowed.preview(card, self._kept(share), self.skip)
            before, left = (card.macs, after.macs) if self.target == "macs" else (card.num_params, after.num_params)
            return 1 - (left or 0) / (before or 1)

        return removed

    def _removed_of_model(self, model: nn.Module, example: dict[str, Tensor], share: float) -> float:
        """Cut a copy, whatever channels, and count: widths alone decide."""
        import torch

        trial = copy.deepcopy(model)
        graph, groups = self._groups(trial, example)
        for group in groups:
            width = len(group[0].idxs)
            _cut(graph, group, torch.arange(width), self._kept(share)(width))
        return 1 - self._cost(trial, example) / self._cost(model, example)

    def _cost(self, model: nn.Module, example: dict[str, Tensor]) -> int:
        if self.target == "params":
            return sum(parameter.numel() for parameter in model.parameters())
        return sum(counting.macs_of(model, example)[1].values())

    def _groups(self, model: nn.Module, example: dict[str, Tensor]) -> tuple[Any, list[Any]]:
        graph = _channels.dependency_graph(model, example)
        skipped = [module for name, module in model.named_modules() if name in self.skip]
        return graph, list(_channels.removable_groups(graph, skipped))


def _cut(graph: Any, group: Any, scores: Tensor, kept: int) -> int:
    """Remove the least important channels of one group; returns how many."""
    root, num_to_remove = group[0].dep, len(scores) - kept
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
