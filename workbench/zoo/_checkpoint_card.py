"""Layers of well-known checkpoints from their tensor names and shapes, so that no torch is needed to look at them.

For any other checkpoint transformers decides at load time how modules are called: its card is read off the module.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from workbench.nouns import DataCard, Layer
from workbench.zoo import _layers, _residual
from workbench.zoo._checkpoint import Checkpoint


@dataclass(frozen=True)
class Known:
    """How a model type calls its tensors."""

    base: str  # every tensor outside the head begins with it
    head: str  # the layer whose outputs are the classes
    once: tuple[str, ...] = ()  # linear layers that see one position of the text, not all
    renamed: tuple[tuple[str, str], ...] = ()  # stored name → module's name, in this order


_VIT_NAMES = (
    (r"encoder\.layer\.", "layers."), (r"attention\.attention\.query", "attention.q_proj"),
    (r"attention\.attention\.key", "attention.k_proj"), (r"attention\.attention\.value", "attention.v_proj"),
    (r"attention\.output\.dense", "attention.o_proj"), (r"intermediate\.dense", "mlp.fc1"), (r"output\.dense", "mlp.fc2"),
)  # fmt: skip
_DECODER = Known("model.", "score")
KNOWN = {
    "bert": Known("bert.", "classifier", once=("bert.pooler.dense", "classifier")),
    "distilbert": Known("distilbert.", "classifier", once=("pre_classifier", "classifier")),
    "roberta": Known("roberta.", "classifier.out_proj", once=("classifier.dense", "classifier.out_proj")),
    "electra": Known("electra.", "classifier.out_proj", once=("classifier.dense", "classifier.out_proj")),
    "gpt2": Known("transformer.", "score"),
    "llama": _DECODER, "mistral": _DECODER, "qwen2": _DECODER, "qwen3": _DECODER,
    "vit": Known("vit.", "classifier", once=("classifier",), renamed=_VIT_NAMES),
    "resnet": Known("resnet.", "classifier.1"),
}  # fmt: skip
OUTPUT, NEW_HEAD = "lm_head", "score"  # of decoders, as a language model and as a classifier
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
CLASSES = ("ForImageClassification", "ForSequenceClassification", "ForCausalLM", "LMHeadModel")
HEADS = ("classifier", "pre_classifier", OUTPUT, NEW_HEAD)
ATTENTION = re.compile(
    r"(attention\.self\.(query|key|value)|(attention|self_attn)\.[qkvo]_proj|\.attn\.c_(attn|proj))$"
)


def is_known(checkpoint: Checkpoint) -> bool:
    """Say whether the stored names tell the modules' names."""
    known = KNOWN.get(checkpoint.model_type)
    return (
        known is not None
        and checkpoint.architecture.endswith(CLASSES)
        and not any(name.endswith((".gamma", ".beta", ".position_ids")) for name in checkpoint.tensors)
        and all(name.startswith(known.base) or name.split(".")[0] in HEADS for name in checkpoint.tensors)
    )


def layers(
    checkpoint: Checkpoint, data: DataCard, *, role: str, seen_size: tuple[int, int] | None
) -> tuple[Layer, ...]:
    """Return the layers of a known checkpoint as a model for the task `role`; pictures have `seen_size` when they reach it."""
    known = KNOWN[checkpoint.model_type]
    tensors = {_renamed(name, known): shape for name, shape in checkpoint.tensors.items()}
    modules: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in tensors.items():
        module, _, own = name.rpartition(".")
        if own not in BUFFERS:
            modules.setdefault(module, {})[own] = shape
    found = [_layer(module, own) for module, own in modules.items()]
    found = _with_head(found, known, checkpoint, data, role)
    macs = _macs(checkpoint, known, data, seen_size)
    found = [replace(layer, macs=macs(layer)) if layer.kind in ("linear", "conv") else layer for layer in found]
    width = _head_width(checkpoint.config)
    found = [replace(layer, head_width=width) if ATTENTION.search(layer.name) else layer for layer in found]
    return tuple(replace(layer, name=f"inner.{layer.name}") for layer in sorted(found, key=_order))


def _head_width(config: Mapping[str, Any]) -> int:
    """Return the numbers of one attention head; 0 for a model without attention."""
    size, heads = (
        config.get(name) or config.get(gpt2)
        for name, gpt2 in (("hidden_size", "n_embd"), ("num_attention_heads", "n_head"))
    )
    return int(config.get("head_dim") or (size // heads if size and heads else 0))


def kv_numbers(config: Mapping[str, Any]) -> int:
    """Return how many keys and values a decoder keeps of each token: two of every key head's width in each block.

    0 where the config doesn't say.
    """
    blocks = config.get("num_hidden_layers") or config.get("n_layer") or 0
    heads = config.get("num_key_value_heads") or config.get("num_attention_heads") or config.get("n_head") or 0
    return 2 * int(blocks) * int(heads) * _head_width(config)


def _renamed(name: str, known: Known) -> str:
    for pattern, replacement in known.renamed:
        name = re.sub(pattern, replacement, name)
    return name


def _layer(module: str, own: dict[str, tuple[int, ...]]) -> Layer:
    num_params = sum(math.prod(shape) for shape in own.values())
    shape = own.get("weight", ())
    if len(shape) == 1:
        return Layer(module, "norm", shape, num_params, macs=0, prunable=False)
    if len(shape) == 4:
        return Layer(module, "conv", shape, num_params)
    if re.search(r"(embeddings|embed_tokens|wte|wpe)$", module) or not shape:
        return Layer(module, "embedding" if shape else "other", shape, num_params, macs=0, prunable=False)
    return Layer(module, "linear", shape, num_params)


def _with_head(found: list[Layer], known: Known, checkpoint: Checkpoint, data: DataCard, role: str) -> list[Layer]:
    """Give the model the output layer that its role wants: the stored one, one of another size, or a tied one."""
    if role == "language-modelling":
        if not checkpoint.config.get("tie_word_embeddings"):
            return found
        found = [layer for layer in found if layer.name != OUTPUT]
        rows = checkpoint.config["vocab_size"]
        shape = next(
            layer.weight_shape for layer in found if layer.kind == "embedding" and layer.weight_shape[0] == rows
        )
        return [*found, Layer(OUTPUT, "linear", shape, 0, prunable=False)]
    found = [layer for layer in found if layer.name != OUTPUT]
    if known.head == NEW_HEAD and not any(layer.name == NEW_HEAD for layer in found):
        width = next(layer.weight_shape[1] for layer in found if layer.kind == "embedding")
        found.append(_layers.linear(NEW_HEAD, width, data.num_classes, bias=False))
    return [_resized(layer, data.num_classes) if layer.name == known.head else layer for layer in found]


def _resized(layer: Layer, num_classes: int) -> Layer:
    if not num_classes:  # unlabelled data: the head stays as it is stored
        return layer
    has_bias = layer.num_params > layer.num_weights
    num_params = num_classes * (layer.weight_shape[1] + has_bias)
    return replace(layer, weight_shape=(num_classes, layer.weight_shape[1]), num_params=num_params)


def _macs(checkpoint: Checkpoint, known: Known, data: DataCard, seen_size: tuple[int, int] | None):  # type: ignore[no-untyped-def]
    """Return a function: layer → multiply-accumulates for one example."""
    config = checkpoint.config
    if checkpoint.model_type == "resnet":
        assert seen_size
        classes = data.num_classes or len(config.get("id2label", {})) or 2
        plan = _residual.layers(config, channels=config["num_channels"], size=seen_size, num_classes=classes)
        by_name = {layer.name: layer.macs for layer in plan}
        return lambda layer: by_name[f"inner.{layer.name}"]
    if checkpoint.model_type == "vit":
        assert seen_size
        patch = config["patch_size"] if isinstance(config["patch_size"], list) else [config["patch_size"]] * 2
        num_patches = (seen_size[0] // patch[0]) * (seen_size[1] // patch[1])
        return lambda layer: (
            layer.num_weights
            * (num_patches if layer.kind == "conv" else 1 if layer.name in known.once else num_patches + 1)
        )
    length = int(data.inputs[0].shape[1])
    return lambda layer: layer.num_weights * (1 if layer.name in known.once else length)


def _order(layer: Layer) -> tuple[object, ...]:
    """Embeddings first, the head last, numbers between by value."""
    rank = 0 if layer.kind in ("embedding", "other") else 2 if layer.name.split(".")[0] in HEADS else 1
    return rank, [(0, int(piece), "") if piece.isdigit() else (1, 0, piece) for piece in layer.name.split(".")]
