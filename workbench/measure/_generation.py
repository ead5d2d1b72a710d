"""Runs inside a fresh process: writes texts with each variant in turn, and times every token."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from typing import Any

from workbench.errors import InvalidInput
from workbench.part import Decoder

LEAST_TOKENS = 8  # to be timed: fewer say nothing of how the time grows


def timed(
    decoders: list[Callable[[], Decoder]],
    *,
    prompts: Sequence[Sequence[int]],
    tokens: int | None,  # None = to the end of the context
    texts: int,
    turn: int,
) -> dict[str, Any]:
    """Return first_ms (variants, texts), token_ms (variants, texts, tokens), and kv_bytes of the first variant at the end."""
    opened = [each() for each in decoders]
    context = min(decoder.context for decoder in opened)
    left = context - len(prompts[0])
    wanted = left if tokens is None else tokens
    if not LEAST_TOKENS <= wanted <= left:
        raise InvalidInput(
            [
                f"{wanted} tokens after a prompt of {len(prompts[0])}: the context is {context}, and {LEAST_TOKENS} are the least"
            ],
            next_move="choose a shorter prompt, or fewer tokens",
        )
    for decoder in opened:
        written(decoder, prompts[0], LEAST_TOKENS)
    gc.collect()
    gc.disable()
    found: list[list[Any]] = [[] for _ in opened]
    for text in range(texts):
        order = range(len(opened)) if (text + turn) % 2 == 0 else reversed(range(len(opened)))
        for variant in order:
            found[variant].append(written(opened[variant], prompts[text % len(prompts)], wanted))
    return {
        "first_ms": [[each[0] for each in variant] for variant in found],
        "token_ms": [[each[1] for each in variant] for variant in found],
        "kv_bytes": found[0][0][2],
    }


def written(decoder: Decoder, prompt: Sequence[int], num_tokens: int) -> tuple[float, list[float], int]:
    """Write the likeliest text; return ms to its first token, ms of each of `num_tokens` more, and bytes kept at the end."""
    begun = time.perf_counter()
    reading = decoder.read(prompt)
    token = int(reading.logits.argmax())
    first, took = time.perf_counter() - begun, []
    for _ in range(num_tokens):
        begun = time.perf_counter()
        token = int(reading.go_on(token).argmax())
        took.append((time.perf_counter() - begun) * 1e3)
    return first * 1e3, took, reading.cache_bytes()
