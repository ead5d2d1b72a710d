"""The repeated blocks of a transformer, read from the names on its card: what tensor and pipeline parallelism split."""

from __future__ import annotations

import re
from dataclasses import dataclass

from workbench.nouns import Layer, ModelCard

KNOWN = "known are Llama's, GPT-2's, BERT's and ViT's plans"
SPLIT = "known are Llama's, BERT's and ViT's plans; GPT-2 has q, k and v in one matrix"
_BLOCK = re.compile(r"^(?P<start>.+?\.(?:layers|layer|h))\.(?P<index>\d+)\.(?P<rest>.+)$")


@dataclass(frozen=True)
class Plan:
    """Which linear layers of a block split their outputs (columns) and which then their inputs (rows), and its norms.

    Megatron-LM (Shoeybi et al., arXiv 1909.08053), section 3; sequence parallel: Korthikanti et al., arXiv 2205.05198.
    """

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    norms: tuple[str, ...]


LLAMA = Plan(
    columns=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj"),
    rows=("self_attn.o_proj", "mlp.down_proj"),
    norms=("input_layernorm", "post_attention_layernorm"),
)
VIT = Plan(
    columns=("attention.q_proj", "attention.k_proj", "attention.v_proj", "mlp.fc1"),
    rows=("attention.o_proj", "mlp.fc2"),
    norms=("layernorm_before", "layernorm_after"),
)
BERT = Plan(
    columns=("attention.self.query", "attention.self.key", "attention.self.value", "intermediate.dense"),
    rows=("attention.output.dense", "output.dense"),
    norms=(),  # they come after the sum, so tokens can't stay split between blocks
)
PLANS = (LLAMA, VIT, BERT)
DECODERS = ("inner.model.layers", "inner.transformer.h")
CUTTABLE = (*DECODERS, "inner.vit.layers", "inner.bert.encoder.layer")


@dataclass(frozen=True)
class Blocks:
    """The blocks of one model: `start.0`, `start.1` … with the same layers in each."""

    start: str
    num: int
    first: dict[str, Layer]  # by name inside the block
    plan: Plan | None  # None = how its layers split isn't known

    @property
    def is_cuttable(self) -> bool:
        """Whether it is known how a stage hands on to the next."""
        return self.start in CUTTABLE

    def index_of(self, name: str) -> int | None:
        """Return the block that a layer is in; None = it is outside of blocks."""
        index = name.removeprefix(f"{self.start}.").partition(".")[0]
        return int(index) if name.startswith(f"{self.start}.") and index.isdigit() else None

    def split_sizes(self) -> dict[str, int]:
        """Return what tensor parallelism splits, by name: heads (or shared keys), and the feed-forward layer's width."""
        assert self.plan is not None
        sizes = {}
        for name in self.plan.columns:
            layer = self.first[name]
            outputs = layer.weight_shape[0]
            sizes[name] = outputs // layer.head_width if layer.head_width else outputs
        heads = {name: size for name, size in sizes.items() if self.first[name].head_width}
        return {"heads": min(heads.values()), "width": min(size for name, size in sizes.items() if name not in heads)}

    def num_tokens(self, card: ModelCard) -> int | None:
        """Return how long a sequence is; None where the card doesn't tell."""
        lengths = [spec.shape[1] for spec in card.inputs if spec.name == "tokens"]
        return int(lengths[0]) if lengths else None

    def is_tied(self, card: ModelCard) -> bool:
        """Say whether the output layer of a language model is its embedding, too."""
        return card.task == "language-modelling" and not any("lm_head" in layer.name for layer in card.layers)


def of(card: ModelCard) -> Blocks | None:
    """Return the blocks of a model; None when its layers don't repeat under one name."""
    found: dict[str, dict[int, dict[str, Layer]]] = {}
    for layer in card.layers:
        if match := _BLOCK.match(layer.name):
            found.setdefault(match["start"], {}).setdefault(int(match["index"]), {})[match["rest"]] = layer
    if len(found) != 1:
        return None
    ((start, blocks),) = found.items()
    first = blocks[0]
    return Blocks(start, len(blocks), first, next((plan for plan in PLANS if _fits(plan, first)), None))


def inputs_of(blocks: Blocks) -> float:
    """Return how many numbers of one example go into a block; 0 where its layers' work isn't known."""
    first = next((layer for layer in blocks.first.values() if layer.kind == "linear"), None)
    return (first.macs or 0) / first.num_weights * first.weight_shape[1] if first else 0.0


def _fits(plan: Plan, block: dict[str, Layer]) -> bool:
    linear = {name for name, layer in block.items() if layer.kind == "linear"}
    return linear == {*plan.columns, *plan.rows}
