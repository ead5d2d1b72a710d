"""Which layers make up each attention block, by their names, and how its heads are cut out of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.compress import _narrowed
from workbench.nouns import Layer, ModelCard

if TYPE_CHECKING:
    from torch import nn

# (query, key, value, output) as transformers names them; the output's name stands beside the query's, or is led to by "^"
NAMES = (
    ("q_proj", "k_proj", "v_proj", "o_proj"),
    ("q_proj", "k_proj", "v_proj", "out_proj"),
    ("query", "key", "value", "^output.dense"),
    ("q_lin", "k_lin", "v_lin", "out_lin"),
)
COUNTS = ("num_heads", "num_attention_heads", "num_key_value_heads", "n_heads", "all_head_size")  # kept true if present


@dataclass(frozen=True)
class Attention:
    """Layers of one block. Queries that share a key and value go together: `units` of them, `shared` queries each."""

    query: str
    key: str
    value: str
    output: str
    head_width: int  # numbers of one head
    units: int
    shared: int  # query heads of a unit

    @property
    def layers(self) -> tuple[str, str, str, str]:
        return self.query, self.key, self.value, self.output

    def columns(self, unit: int) -> range:
        """Return the outputs of the query, and inputs of the output layer, that belong to a unit."""
        width = self.head_width * self.shared
        return range(unit * width, (unit + 1) * width)

    def rows(self, unit: int) -> range:
        """Return the outputs of key and value that belong to a unit."""
        return range(unit * self.head_width, (unit + 1) * self.head_width)


def attentions(shapes: Mapping[str, tuple[int, ...]], head_widths: Mapping[str, int]) -> list[Attention]:
    """Return the attention blocks among layers (name → weight shape); `head_widths` of the query layers where known."""
    found = []
    for query, width in head_widths.items():
        for names in NAMES:
            block, _, last = query.rpartition(".")
            if last != names[0] or not width:
                continue
            key, value = (f"{block}.{each}" for each in names[1:3])
            output = _beside(block, names[3])
            if all(each in shapes for each in (key, value, output)) and _fit(shapes, query, key, value, output, width):
                units = shapes[key][0] // width
                found.append(Attention(query, key, value, output, width, units, shapes[query][0] // shapes[key][0]))
                break
    return found


def of_card(card: ModelCard) -> list[Attention]:
    layers = {layer.name: layer for layer in card.layers if layer.prunable and layer.kind == "linear"}
    widths = {name: layer.head_width for name, layer in layers.items()}
    return attentions({name: layer.weight_shape for name, layer in layers.items()}, widths)


def of_model(model: nn.Module, names: Sequence[str]) -> list[Attention]:
    """Return the blocks among the prunable layers `names` of a module; heads' widths are what their modules say."""
    from torch import nn

    layers = {name: model.get_submodule(name) for name in names}
    linear = {name: module for name, module in layers.items() if isinstance(module, nn.Linear)}
    widths = {}
    for name in linear:
        parent = model.get_submodule(name.rpartition(".")[0])
        width = getattr(parent, "head_dim", None) or getattr(parent, "attention_head_size", 0)
        widths[name] = width if isinstance(width, int) else 0
    return attentions({name: tuple(module.weight.shape) for name, module in linear.items()}, widths)


def preview(card: ModelCard, kept: Mapping[str, int]) -> ModelCard:
    """Return the card with `kept` units in the block of each query layer; exact."""
    changed: dict[str, Layer] = {}
    by_name = {layer.name: layer for layer in card.layers}
    for block in of_card(card):
        num = kept.get(block.query, block.units)
        query, key, value, output = (by_name[each] for each in block.layers)
        wide = num * block.shared * block.head_width
        changed[query.name] = _narrowed.narrow(query, wide, query.weight_shape[1])
        for each in (key, value):
            changed[each.name] = _narrowed.narrow(each, num * block.head_width, each.weight_shape[1])
        changed[output.name] = _narrowed.narrow(output, output.weight_shape[0], wide)
    layers = tuple(changed.get(layer.name, layer) for layer in card.layers)
    return card.with_layers(layers, structure="reshaped")


def cut(model: nn.Module, block: Attention, units: Sequence[int]) -> None:
    """Keep only `units` (in order) of a block, in place."""
    columns = [place for unit in units for place in block.columns(unit)]
    rows = [place for unit in units for place in block.rows(unit)]
    _keep_outputs(model.get_submodule(block.query), columns)
    for name in (block.key, block.value):
        _keep_outputs(model.get_submodule(name), rows)
    _keep_inputs(model.get_submodule(block.output), columns)
    parent: Any = model.get_submodule(block.query.rpartition(".")[0])
    for name in COUNTS:
        if isinstance(getattr(parent, name, None), int):
            setattr(parent, name, getattr(parent, name) * len(units) // block.units)


def _beside(block: str, name: str) -> str:
    if name.startswith("^"):
        return f"{block.rpartition('.')[0]}.{name[1:]}"
    return f"{block}.{name}"


def _fit(shapes: Mapping[str, tuple[int, ...]], query: str, key: str, value: str, output: str, width: int) -> bool:
    """Say whether the widths are those of heads: some queries for each key, and the output takes all of them."""
    queries, keys = shapes[query][0], shapes[key][0]
    whole = keys and keys % width == 0 and queries % keys == 0
    return bool(whole) and shapes[value][0] == keys and shapes[output][1] == queries


def _keep_outputs(layer: Any, rows: Sequence[int]) -> None:
    from torch import nn

    layer.weight = nn.Parameter(layer.weight.detach()[list(rows)].clone())
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias.detach()[list(rows)].clone())
    layer.out_features = len(rows)


def _keep_inputs(layer: Any, columns: Sequence[int]) -> None:
    from torch import nn

    layer.weight = nn.Parameter(layer.weight.detach()[:, list(columns)].clone())
    layer.in_features = len(columns)
