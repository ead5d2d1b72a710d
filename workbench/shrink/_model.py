"""A decoder of transformers whose blocks get their weights one at a time; the rest of it never has any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from workbench.errors import InvalidInput
from workbench.shrink._reading import Weights

PREFIX = "model.layers"
KNOWN = ("llama", "mistral", "qwen2", "qwen3")  # model types whose blocks are called alike, all with the same mask
NUMBERS_AT_ONCE = 2**24  # of hidden states that pass a block together

Read = Callable[[str], np.ndarray]


class _Caught(Exception):  # noqa: N818
    """Carries what the first block was called with."""

    def __init__(self, named: dict[str, Any]) -> None:
        super().__init__()
        self.named = named


class _Catcher(nn.Module):
    def forward(self, hidden: Tensor, **named: Any) -> Tensor:
        raise _Caught(named)


class Block(nn.Module):
    """One block with its weights, whose layers are called as in the whole model: hidden states → hidden states."""

    def __init__(self, index: int, layer: nn.Module, named: dict[str, Any]) -> None:
        super().__init__()
        self.model = nn.Module()
        self.model.layers = nn.ModuleDict({str(index): layer})
        self.index, self.named = str(index), named

    def forward(self, hidden: Tensor) -> Tensor:
        layers: Any = self.model.layers
        found = layers[self.index](hidden, **self.named)
        return found if isinstance(found, Tensor) else found[0]


class Skeleton:
    """The model of a folder on no device at all."""

    def __init__(self, folder: Path, length: int) -> None:
        """Raises InvalidInput for a model whose blocks can't be called one by one."""
        import transformers

        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
        if config.model_type not in KNOWN:
            raise InvalidInput(
                [f"blocks of {config.model_type!r} can't be called one by one; known are {', '.join(KNOWN)}"]
            )
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        with torch.device("meta"):
            self.model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()
        self.inner: Any = self.model.model
        self.inner.rotary_emb = type(self.inner.rotary_emb)(config=config)
        self.layers = list(self.inner.layers)
        self.epsilon, self.tied = config.rms_norm_eps, config.tie_word_embeddings
        self.named = self._named(length, config.hidden_size)

    def block(self, index: int, read: Read) -> Block:
        """Return a block with float32 weights; `release` takes them away again."""
        layer = self.layers[index].to_empty(device="cpu").float()
        for name, parameter in layer.named_parameters():
            parameter.data = torch.from_numpy(read(f"{PREFIX}.{index}.{name}"))
        return Block(index, layer, self.named).requires_grad_(False)

    def release(self, index: int) -> None:
        self.layers[index].to("meta")

    def _named(self, length: int, width: int) -> dict[str, Any]:
        """Return what every block is called with besides the hidden states of texts of this length."""
        self.inner.layers = nn.ModuleList([_Catcher() for _ in self.layers])
        try:
            self.inner(inputs_embeds=torch.zeros(1, length, width), use_cache=False)
        except _Caught as caught:
            return {**caught.named, "past_key_values": None, "use_cache": False}
        raise AssertionError("a model without blocks")


def embedded(weights: Weights, tokens: np.ndarray, into: np.ndarray) -> None:
    """Fill `into` (texts, length, width) with the embeddings of tokens (texts, length)."""
    for text, row in enumerate(tokens):
        into[text] = weights.rows("model.embed_tokens.weight", row)


def passed(block: nn.Module, hidden: np.ndarray, into: np.ndarray) -> None:
    """Send hidden states (texts, length, width) through a block."""
    at_once = max(1, NUMBERS_AT_ONCE // hidden[0].size)
    with torch.no_grad():
        for begin in range(0, len(hidden), at_once):
            piece = torch.from_numpy(np.ascontiguousarray(hidden[begin : begin + at_once]))
            into[begin : begin + at_once] = block(piece).numpy()


def losses(skeleton: Skeleton, weights: Weights, hidden: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Return the cross entropy of each next token (texts, length − 1) from the last block's hidden states."""
    found = np.empty((len(tokens), tokens.shape[1] - 1))
    norm = torch.from_numpy(weights.dense("model.norm.weight"))
    head = "model.embed_tokens.weight" if "lm_head.weight" not in weights.tensors else "lm_head.weight"
    num_rows = weights.tensors[head][1].shape[0]
    for text, row in enumerate(tokens):
        states = torch.from_numpy(np.ascontiguousarray(hidden[text, :-1]))
        states = nn.functional.rms_norm(states, (states.shape[-1],), norm, skeleton.epsilon)
        total = torch.full((len(states),), -torch.inf)
        for begin in range(0, num_rows, 8192):
            piece = weights.rows(head, np.arange(begin, min(begin + 8192, num_rows)))
            total = torch.logaddexp(total, (states @ torch.from_numpy(piece).T).logsumexp(-1))
        right = (states * torch.from_numpy(weights.rows(head, row[1:]))).sum(-1)
        found[text] = (total - right).numpy()
    return found
