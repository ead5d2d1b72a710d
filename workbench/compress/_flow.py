"""What feeds what: read from torch.export's graph of the model, for steps that move factors between layers."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from workbench.errors import WorkbenchError
from workbench.nouns import Examples

ATEN = torch.ops.aten
LAYERS = {ATEN.linear.default, ATEN.conv2d.default, ATEN.conv1d.default}
NORMS = {ATEN.batch_norm.default: 1, ATEN.layer_norm.default: 2}  # → which argument its weight is
# A positive factor on a channel passes these unchanged.
PASSING = {
    ATEN.relu.default, ATEN.relu_.default, ATEN.leaky_relu.default, ATEN.max_pool2d.default, ATEN.avg_pool2d.default,
    ATEN.adaptive_avg_pool2d.default, ATEN.dropout.default, ATEN.dropout_.default, ATEN.contiguous.default,
    ATEN.clone.default, ATEN.alias.default, ATEN.detach_.default, ATEN.detach.default,
}  # fmt: skip
SHAPING = {ATEN.flatten.using_ints, ATEN.view.default, ATEN.reshape.default, ATEN.mean.dim, ATEN.select.int}


@dataclass(frozen=True)
class Feed:
    """Whose output channels may be divided by positive numbers if the inputs of `users` are multiplied by them."""

    source: str  # a layer or normalisation
    producer: str  # the convolution that a batch normalisation stands behind; else the source itself
    users: tuple[str, ...]
    repeat: int  # consecutive inputs of a user that come from one channel (flattened maps)


def norms_behind(model: nn.Module, examples: Examples) -> dict[str, str]:
    """Return by layer the batch normalisation that alone reads its output."""
    graph, owners = _exported(model, examples)
    found = {}
    for node in graph.nodes:
        if node.target is ATEN.batch_norm.default and len(node.args[0].users) == 1 and node.args[0].target in LAYERS:
            layer, norm = (owners.get(each.name) for each in (node.args[0].args[1], node.args[1]))
            if layer and norm:
                found[layer] = norm
    return found


def feeds(model: nn.Module, examples: Examples, layers: list[str]) -> list[Feed]:
    """Return every place where factors can move, in the model's order: all readers of it are among `layers`."""
    graph, owners = _exported(model, examples)
    found = []
    for node in graph.nodes:
        if node.target not in LAYERS and node.target not in NORMS and not _is_scaling(node, owners):
            continue
        source = owners.get(_weight_of(node).name if isinstance(_weight_of(node), torch.fx.Node) else "")
        if source is None or (node.target in LAYERS and source not in layers):
            continue
        readers = list(_readers(node, _channel_axis(node), 1, owners, set()))
        names = tuple(dict.fromkeys(name for name, _ in readers))
        if not readers or any(name not in layers for name in names) or len({repeat for _, repeat in readers}) > 1:
            continue
        if any(not _has_plain_inputs(model.get_submodule(name)) or name == source for name in names):
            continue
        before = node.args[0] if node.target is ATEN.batch_norm.default else None
        producer = owners.get(before.args[1].name, source) if before is not None and before.target in LAYERS else source
        found.append(Feed(source, producer, names, readers[0][1]))
    return found


def move(model: nn.Module, feed: Feed, factors: Tensor) -> None:
    """Divide the source's channels by `factors` and multiply its users' inputs by them, in place."""
    with torch.no_grad():
        source: Any = model.get_submodule(feed.source)
        for name in ("weight", "bias"):
            tensor = source._parameters.get(name)
            if tensor is not None:
                tensor.div_(factors.view(-1, *[1] * (tensor.ndim - 1)))
        wide = factors.repeat_interleave(feed.repeat)
        for name in feed.users:
            weight = model.get_submodule(name).get_parameter("weight")
            weight.mul_(wide.view(1, -1, *[1] * (weight.ndim - 2)))


def input_columns(weight: Tensor, repeat: int) -> Tensor:
    """Return a user's weight as (…, channels of the source): all weights that one channel meets, one column each."""
    return weight.transpose(0, 1).reshape(weight.shape[1] // repeat, -1).T


def _exported(model: nn.Module, examples: Examples) -> tuple[torch.fx.Graph, dict[str, str]]:
    """Return the graph, and by placeholder the module whose weight it is; weights read more than once are left out."""
    from workbench.train import prunable

    inputs = tuple(
        torch.from_numpy(np.ascontiguousarray(array[:2])).to(next(model.parameters()).device)
        for array in examples.inputs.values()
    )
    level = logging.getLogger("torch.export").level
    try:
        logging.getLogger("torch.export").setLevel(logging.ERROR)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(model.eval(), inputs, strict=False)
    except Exception as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise WorkbenchError(
            f"what feeds what can't be read from this model: torch.export fails ({first_line})",
            next_move="remove data-dependent control flow from forward, or leave this option out",
        ) from error
    finally:
        logging.getLogger("torch.export").setLevel(level)
    names, unshared = program.graph_signature.inputs_to_parameters, {name for name, _ in prunable(model)}
    read_once = [node.name for node in program.graph.nodes if node.op == "placeholder" and len(node.users) == 1]
    owners = {
        place: names[place].removesuffix(".weight") for place in read_once if names.get(place, "").endswith(".weight")
    }
    return program.graph, {
        place: name
        for place, name in owners.items()
        if name in unshared or model.get_submodule(name).get_parameter("weight").ndim == 1
    }


def _is_scaling(node: Any, owners: dict[str, str]) -> bool:
    """Say whether a node multiplies by a module's vector, as root-mean-square normalisations end."""
    if node.target is not ATEN.mul.Tensor or not all(isinstance(each, torch.fx.Node) for each in node.args):
        return False
    return len(_vectors(node, owners)) == 1


def _vectors(node: Any, owners: dict[str, str]) -> list[Any]:
    return [each for each in node.args if each.name in owners and each.meta["val"].ndim == 1]


def _weight_of(node: Any) -> Any:
    """Return the node of the weight of a layer or normalisation."""
    if node.target is ATEN.mul.Tensor:
        return next(each for each in node.args if each.op == "placeholder" and each.meta["val"].ndim == 1)
    return node.args[NORMS.get(node.target, 1)]


def _channel_axis(node: Any) -> int:
    """Return the axis of the output that the weight's rows make."""
    is_spatial = node.target in (ATEN.conv2d.default, ATEN.conv1d.default, ATEN.batch_norm.default)
    return 1 if is_spatial else node.meta["val"].ndim - 1


def _readers(
    node: Any, axis: int, repeat: int, owners: dict[str, str], products: set[Any]
) -> Iterator[tuple[str, int]]:
    """Yield (layer, repeat) of all that read a value through what a factor passes; an empty name is anything else."""
    if not node.users:
        yield "", repeat
    for user in node.users:
        if user.target in LAYERS and user.args[0] is node:
            wanted = node.meta["val"].ndim - 1 if user.target is ATEN.linear.default else 1
            yield owners.get(user.args[1].name, "") if axis == wanted else "", repeat
        elif user.target in PASSING and user.args[0] is node:
            yield from _readers(user, axis, repeat, owners, products)
        elif user.target in SHAPING:
            reshaped = _reshaped(node.meta["val"].shape, user.meta["val"].shape, axis, user)
            if reshaped is None:
                yield "", repeat
            else:
                yield from _readers(user, reshaped[0], repeat * reshaped[1], owners, products)
        elif _is_product(node, user, owners) and user not in products:
            products.add(user)
            yield from _readers(user, axis, repeat, owners, products)
        else:
            yield "", repeat


def _is_product(node: Any, user: Any, owners: dict[str, str]) -> bool:
    """Say whether a value is multiplied by another one of its shape, so that a factor on this one passes."""
    if user.target is not ATEN.mul.Tensor or _is_scaling(user, owners):
        return False
    others = [each for each in user.args if each is not node]
    return (
        len(others) == 1 and isinstance(others[0], torch.fx.Node) and node.meta["val"].shape == user.meta["val"].shape
    )


def _reshaped(old: Any, new: Any, axis: int, user: Any) -> tuple[int, int] | None:
    """Return (axis, how many numbers one channel became there); None when channels were mixed or lost."""
    if user.target in (ATEN.mean.dim, ATEN.select.int):
        given = user.args[1] if isinstance(user.args[1], list | tuple) else [user.args[1]]
        gone = {each % len(old) for each in given}
        keeps = user.target is ATEN.mean.dim and len(user.args) > 2 and user.args[2]
        if axis in gone:
            return None
        return (axis if keeps else axis - sum(each < axis for each in gone)), 1
    if axis == len(old) - 1 and new[-1] == old[-1]:
        return len(new) - 1, 1
    if axis == 1 and len(new) == 2 and new[0] == old[0]:
        return 1, int(np.prod(old[2:]))
    return None


def _has_plain_inputs(layer: Any) -> bool:
    """Say whether each input channel meets its own slice of the weight's second axis."""
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv1d | nn.Conv2d) and layer.groups == 1)
