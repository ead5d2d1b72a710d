"""Decoder-only transformers by their configuration: parameters, caches, activations and operations, no weights."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from workbench.errors import InvalidInput

GATED = ("llama", "mistral", "qwen2", "qwen3", "mixtral", "phi3", "gemma")
READ = (*GATED, "gpt2")  # model types of transformers whose config is understood


@dataclass(frozen=True)
class Architecture:
    """A decoder: tokens → `layers` blocks of attention and a feed-forward part → scores over the vocabulary."""

    name: str
    hidden: int  # size of a token's vector
    layers: int
    heads: int
    ffn: int  # inner width of the feed-forward part
    vocabulary: int
    context: int  # tokens
    kv_heads: int = 0  # 0 = as many as heads
    head_dim: int = 0  # 0 = hidden / heads
    is_gated: bool = True  # three matrices (SwiGLU, arXiv 2002.05202) instead of two
    tied: bool = False  # the output layer is the embedding
    biases: Literal["none", "qkv", "attention", "all"] = "none"
    positions: int = 0  # rows of a table of learned positions
    layer_norm: bool = False  # norms with a bias, instead of RMS norm
    qk_norm: bool = False
    experts: int = 1
    experts_per_token: int = 1
    source: str = ""

    @property
    def q_width(self) -> int:
        return self.heads * (self.head_dim or self.hidden // self.heads)

    @property
    def kv_width(self) -> int:
        return (self.kv_heads or self.heads) * (self.head_dim or self.hidden // self.heads)

    @property
    def attention_params(self) -> int:
        """Parameters of one block's four projections, with their biases."""
        weights = self.hidden * (2 * self.q_width + 2 * self.kv_width)
        inner = self.q_width + 2 * self.kv_width
        return weights + {"none": 0, "qkv": inner}.get(self.biases, inner + self.hidden)

    @property
    def expert_params(self) -> int:
        """Parameters of one feed-forward part: three matrices when gated, two otherwise."""
        matrices = 3 if self.is_gated else 2
        return matrices * self.hidden * self.ffn + (self.ffn + self.hidden if self.biases == "all" else 0)

    @property
    def norm_params(self) -> int:
        return self.hidden * (2 if self.layer_norm else 1)

    @property
    def block_params(self) -> int:
        """Parameters of one block with all its experts."""
        router = self.hidden * self.experts if self.experts > 1 else 0
        head_norms = 2 * (self.head_dim or self.hidden // self.heads) if self.qk_norm else 0
        return self.attention_params + self.experts * self.expert_params + router + 2 * self.norm_params + head_norms

    @property
    def embedding_params(self) -> int:
        return self.vocabulary * self.hidden + self.positions * self.hidden

    @property
    def head_params(self) -> int:
        """Parameters of the output layer and the norm before it; the matrix counts once when it is tied."""
        return self.norm_params + (0 if self.tied else self.vocabulary * self.hidden)

    @property
    def num_params(self) -> int:
        return self.embedding_params + self.layers * self.block_params + self.head_params

    @property
    def active_params(self) -> int:
        """Parameters that one token meets in matrix products: chosen experts and the output layer, no embedding."""
        idle = (self.experts - self.experts_per_token) * self.expert_params
        return self.layers * (self.block_params - idle) + self.vocabulary * self.hidden

    def kv_bytes(self, bytes_per_number: float = 2) -> float:
        """Bytes that one token of the context keeps in the caches of all layers."""
        return 2 * self.layers * self.kv_width * bytes_per_number

    def forward_flops(self, length: int) -> float:
        """Operations of one token's forward pass, in the mean over a causal text of `length` tokens."""
        return 2 * self.active_params + self.layers * 2 * length * self.q_width

    def block_activations(self, *, tensor: int = 1, is_sequence_parallel: bool = False) -> tuple[float, float]:
        """Numbers that one block keeps per token for the backward pass, and those of its input alone.

        Inputs of norms and of matrices, the attention's q, k, v and output (its matrix is not kept: arXiv 2205.14135), and
        the feed-forward part's inner vectors. After Korthikanti et al., arXiv 2205.05198, section 4, for gated parts and
        grouped heads. Tensor parallel ranks share all but the four vectors of the hidden size. Sequence parallel ones share
        these too, but keep what they gathered before attention and before each matrix that comes first in the feed-forward part.
        Where there are experts, a token's vector is copied to each of its own, and what each answers is kept to be weighed.
        """
        experts = 2 * self.hidden * self.experts_per_token if self.experts > 1 else 0
        whole = 4 * self.hidden
        inner = (4 if self.is_gated else 2) * self.ffn * self.experts_per_token
        shared = (2 * self.q_width + 2 * self.kv_width + inner) / tensor
        if not is_sequence_parallel:
            return whole + experts + shared, self.hidden
        gathered = (3 if self.is_gated else 2) * self.hidden if tensor > 1 else 0
        return whole / tensor + gathered + experts + shared, self.hidden / tensor


@functools.cache
def known() -> dict[str, Architecture]:
    """Return the architectures of the data file by name."""
    record = json.loads(resources.files(__package__).joinpath("models.json").read_text())
    return {name: Architecture(name, **values) for name, values in record["models"].items()}


def find(source: str) -> Architecture:
    """Return a model by name, by a transformers folder, or by a config.json; raises InvalidInput otherwise."""
    if source in known():
        return known()[source]
    path = Path(source).expanduser()
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        near = get_close_matches(source, known(), n=1)
        guess = f"did you mean {near[0]}? " if near else ""
        raise InvalidInput(
            [f"no model {source!r}: {guess}known are {', '.join(known())}, or a folder with a config.json"]
        )
    try:
        config = json.loads(file.read_text())
        return from_config(config, path.name if path.is_dir() else path.parent.name)
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidInput([f"{file} is no configuration that transformers wrote: {error}"]) from error
    except KeyError as error:
        raise InvalidInput([f"{file} lacks {error}"]) from error


def from_config(config: Mapping[str, Any], name: str) -> Architecture:
    """Read a transformers config; raises InvalidInput for a model type that isn't a decoder known here, KeyError when cut."""
    model_type = config.get("model_type", "")
    if model_type not in READ:
        raise InvalidInput([f"{name} is of model type {model_type!r}; planned are decoders: {', '.join(READ)}"])
    if model_type == "gpt2":
        hidden, heads = config["n_embd"], config["n_head"]
        return Architecture(
            name, hidden, config["n_layer"], heads, config.get("n_inner") or 4 * hidden, config["vocab_size"],
            config["n_positions"], is_gated=False, tied=config.get("tie_word_embeddings", True), biases="all",
            positions=config["n_positions"], layer_norm=True,
        )  # fmt: skip
    biases: Any = "qkv" if model_type == "qwen2" else "attention" if config.get("attention_bias") else "none"
    return Architecture(
        name, config["hidden_size"], config["num_hidden_layers"], config["num_attention_heads"], config["intermediate_size"],
        config["vocab_size"], config["max_position_embeddings"],
        kv_heads=config.get("num_key_value_heads") or 0, head_dim=config.get("head_dim") or 0,
        tied=config.get("tie_word_embeddings", model_type == "gemma"), biases=biases, qk_norm=model_type == "qwen3",
        experts=config.get("num_local_experts", 1), experts_per_token=config.get("num_experts_per_tok", 1),
    )  # fmt: skip


def record(architecture: Architecture) -> dict[str, Any]:
    """Return the fields and what follows from them, for JSON."""
    values = {each.name: getattr(architecture, each.name) for each in fields(architecture)}
    return {**values, "num_params": architecture.num_params, "active_params": architecture.active_params}
