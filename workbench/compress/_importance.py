"""How much each channel of a coupled group counts: by its weights, by the loss, or by what it gives to its readers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.compress import _activations, _channels, _gradients
from workbench.part import Context

if TYPE_CHECKING:
    from torch import Tensor, nn


def scores(
    how: str, model: nn.Module, graph: Any, groups: Sequence[Any], ctx: Context, *, num_calibration: int | None
) -> list[Tensor]:
    """Return (channels,) for each group, all taken before anything is cut; `how` as `ChannelPrune.importance`."""
    from torch_pruning.pruner.importance import GroupMagnitudeImportance, GroupTaylorImportance

    if how == "activation":
        return _given(model, graph, groups, ctx, num_calibration)
    if how == "magnitude":
        rank = GroupMagnitudeImportance(p=2, group_reduction="sum", normalizer=None)
        return [rank(group) for group in groups]
    rank = GroupTaylorImportance(group_reduction="sum", normalizer=None, multivariable=True)
    sums: list[Any] = [0.0] * len(groups)
    for _ in _gradients.backward_per_batch(model, ctx.data.train, ctx):
        sums = [total + rank(group) for total, group in zip(sums, groups)]
    return sums


def _given(
    model: nn.Module, graph: Any, groups: Sequence[Any], ctx: Context, num_calibration: int | None
) -> list[Tensor]:
    """Return what each channel gives to the layers that read it: Σ x² · ‖w‖² over calibration examples."""
    import torch

    examples = _activations.calibration(ctx, num_calibration, step="channel_prune")
    names = {module: name for name, module in model.named_modules()}
    found = []
    for done, group in enumerate(groups):
        ctx.say("reading activations", done=done, total=len(groups), unit="groups")
        score = torch.zeros(len(group[0].idxs), dtype=torch.float64)
        for layer, inputs, channels in _channels.consumers(graph, group):
            squares = _activations.reduced(model, names[layer], examples, _activations.squares).flatten()
            norms = layer.weight.detach().double().square().flatten(1).sum(0)
            by_input = (squares * norms).view(layer.weight.shape[1], -1).sum(1)
            score.index_add_(0, torch.tensor(channels), by_input[inputs])
        found.append(score)
    return found
