"""Going on from a text with a transformers model that keeps keys and values of what it has read."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

from workbench.part import Decoder

if TYPE_CHECKING:
    import numpy as np


def decoder(loaded: Any) -> Decoder | None:
    """Return the decoder of a causal language model; None for any other model."""
    config = loaded.config
    context = getattr(config, "max_position_embeddings", None)
    if not type(loaded).__name__.endswith(("ForCausalLM", "LMHeadModel")) or context is None:
        return None
    ends = config.eos_token_id
    kept = ends if isinstance(ends, list) else [] if ends is None else [ends]
    return Decoder(lambda tokens: _read(loaded, tokens), int(context), int(config.vocab_size), frozenset(kept))


def _read(loaded: Any, tokens: Sequence[int]) -> Generator[np.ndarray, int, None]:
    import torch

    given, cache = torch.tensor([list(tokens)]), None
    while True:
        with torch.inference_mode():
            output = loaded(input_ids=given, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        chosen = yield output.logits[0, -1].float().numpy()
        given = torch.tensor([[chosen]])
