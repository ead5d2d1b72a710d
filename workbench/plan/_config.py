"""The configuration from which transformers builds a model: of a folder as it lies there, of a known name from its sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workbench.plan import architecture
from workbench.plan.architecture import Architecture


def config_of(source: str) -> dict[str, Any]:
    """Return the config of what `architecture.find` finds; raises InvalidInput as it does."""
    found = architecture.find(source)
    if source in architecture.known():
        return from_architecture(found)
    path = Path(source).expanduser()
    told: dict[str, Any] = json.loads((path / "config.json" if path.is_dir() else path).read_text())
    return told


def from_architecture(model: Architecture) -> dict[str, Any]:
    """Return the inverse of `architecture.from_config`."""
    if model.positions:
        return {
            "model_type": "gpt2", "n_embd": model.hidden, "n_layer": model.layers, "n_head": model.heads, "n_inner": model.ffn,
            "vocab_size": model.vocabulary, "n_positions": model.positions, "tie_word_embeddings": model.tied,
        }  # fmt: skip
    kinds = {"mixtral": model.experts > 1, "qwen3": model.qk_norm, "qwen2": model.biases == "qkv", "llama": True}
    told = {
        "model_type": next(kind for kind, is_it in kinds.items() if is_it), "hidden_size": model.hidden,
        "num_hidden_layers": model.layers, "num_attention_heads": model.heads, "intermediate_size": model.ffn,
        "num_key_value_heads": model.kv_heads or model.heads, "vocab_size": model.vocabulary,
        "max_position_embeddings": model.context, "tie_word_embeddings": model.tied, "attention_bias": model.biases == "attention",
    }  # fmt: skip
    if model.head_dim:
        told["head_dim"] = model.head_dim
    if model.experts > 1:
        told |= {"num_local_experts": model.experts, "num_experts_per_tok": model.experts_per_token}
    return told
