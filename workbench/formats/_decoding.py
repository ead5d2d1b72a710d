"""Going on from a text with a transformers model that keeps keys and values of what it has read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.part import Decoder

if TYPE_CHECKING:
    import numpy as np


def decoder(loaded: Any, kept: Mapping[str, int] | None) -> Decoder | None:
    """Return the decoder of a causal language model; None for any other model.

    `kept` says how keys and values are kept (`_kv_cache`); None = as computed.
    """
    config = loaded.config
    context = getattr(config, "max_position_embeddings", None)
    if not type(loaded).__name__.endswith(("ForCausalLM", "LMHeadModel")) or context is None:
        return None
    ends = config.eos_token_id
    ending = frozenset(ends if isinstance(ends, list) else [] if ends is None else [ends])
    return Decoder(lambda tokens: _Reading(loaded, kept, tokens), int(context), int(config.vocab_size), ending)


class _Reading:
    """See `part.Reading`; the cache is transformers' own, with layers of ours where it is kept in few bits."""

    def __init__(self, loaded: Any, kept: Mapping[str, int] | None, tokens: Sequence[int]) -> None:
        from transformers import DynamicCache

        from workbench.formats import _kv_cache

        self._loaded = loaded
        self._cache = _kv_cache.empty(loaded, **kept) if kept else DynamicCache(config=loaded.config)
        self.logits = self._read(list(tokens))

    def go_on(self, token: int) -> np.ndarray:
        self.logits = self._read([token])
        return self.logits

    def cache_bytes(self) -> int:
        layers: Any = self._cache.layers
        return sum(getattr(layer, "nbytes", None) or layer.keys.nbytes + layer.values.nbytes for layer in layers)

    def _read(self, tokens: list[int]) -> np.ndarray:
        import torch

        with torch.inference_mode():
            given = torch.tensor([tokens])
            output = self._loaded(input_ids=given, past_key_values=self._cache, use_cache=True)
        found: np.ndarray = output.logits[0, -1].float().numpy()
        return found
