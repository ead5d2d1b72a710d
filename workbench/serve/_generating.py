"""Text generation: a fixed number of streams a model, each with its own cache, its own limits and its own seed."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.part import Decoder
from workbench.serve.refusal import Refusal
from workbench.tokenizer import NUM_BYTES, Tokenizer

MAX_TOKENS = 64  # when a request names none
PARAMETERS: dict[str, Any] = {"max_tokens": int, "temperature": (int, float), "top_k": int, "seed": int}


@dataclass(frozen=True)
class Wish:
    """A generate request: text, or tokens of the model's own tokenizer."""

    text: str | None  # None = tokens are given
    tokens: tuple[int, ...] = ()
    max_tokens: int | None = None  # None = MAX_TOKENS, or what is left of the context
    temperature: float = 0.0  # 0 = always the likeliest
    top_k: int = 0  # 0 = all
    seed: int = 0


def wish(record: Mapping[str, Any]) -> Wish:
    """Return what a request's JSON asks for; raises Refusal with what is wrong."""
    text, tokens, parameters = record.get("text_input"), record.get("tokens"), record.get("parameters", {})
    if (text is None) == (tokens is None):
        raise Refusal("invalid", "give text_input or tokens")
    if text is not None and not isinstance(text, str):
        raise Refusal("invalid", "text_input is no text")
    if tokens is not None and not (isinstance(tokens, list) and all(type(each) is int for each in tokens)):
        raise Refusal("invalid", "tokens are no list of whole numbers")
    if not isinstance(parameters, dict) or set(parameters) - set(PARAMETERS):
        raise Refusal("invalid", f"parameters are {', '.join(PARAMETERS)}")
    for name, value in parameters.items():
        if (
            not isinstance(value, PARAMETERS[name])
            or isinstance(value, bool)
            or value < (name in ("max_tokens", "top_k"))
        ):
            raise Refusal("invalid", f"{name} can't be {str(value)[:30]}")
    return Wish(text, tuple(tokens or ()), **parameters)


class Generator:
    """Lives in one event loop; each stream has a thread while it generates."""

    def __init__(self, decoder: Decoder, num_streams: int, tokenizer: Tokenizer | None = None) -> None:
        self._decoder, self._num_streams, self._tokenizer = (
            decoder,
            num_streams,
            tokenizer,
        )  # None = bytes, or tokens alone
        self._threads = ThreadPoolExecutor(num_streams, thread_name_prefix="generate")
        self._num_busy = 0

    async def begin(self, asked: Wish, seconds: float) -> AsyncGenerator[dict[str, Any], None]:
        """Return what yields one piece a token, the first one made already; raises Refusal when it can't begin."""
        tokens = self._tokens(asked)
        left = self._decoder.context - len(tokens)
        num_tokens = asked.max_tokens or min(MAX_TOKENS, left)
        if num_tokens > left:
            raise Refusal(
                "invalid", f"{num_tokens} tokens after {len(tokens)}: at most {self._decoder.context} together"
            )
        if self._num_busy >= self._num_streams:
            raise Refusal("too_many", f"{self._num_streams} texts are being generated already")
        pieces = self._pieces(tokens, asked, num_tokens, seconds)
        return _with_first(await anext(pieces), pieces)

    async def _pieces(
        self, tokens: Sequence[int], asked: Wish, num_tokens: int, seconds: float
    ) -> AsyncGenerator[dict[str, Any], None]:
        loop, end = asyncio.get_running_loop(), time.monotonic() + seconds
        random = np.random.default_rng(asked.seed)
        write = self._writer(tokens)
        self._num_busy += 1
        try:
            reading = await loop.run_in_executor(self._threads, self._decoder.read, tokens)
            logits = reading.logits
            for index in range(num_tokens):
                token = _chosen(logits, asked, random)
                is_end, is_last = token in self._decoder.ends, index == num_tokens - 1
                is_late = time.monotonic() > end
                reason = "end" if is_end else "length" if is_last else "time" if is_late else ""
                yield {"text_output": write(token, bool(reason)), "token": token, "finish_reason": reason}
                if reason:
                    return
                logits = await loop.run_in_executor(self._threads, reading.go_on, token)
        finally:
            self._num_busy -= 1

    @property
    def _is_bytes(self) -> bool:
        return self._tokenizer is None and self._decoder.vocabulary == NUM_BYTES  # its text needs no tokenizer

    def _writer(self, before: Sequence[int]) -> Callable[[int, bool], str]:
        """Return what gives the text that a token completes; "" where it completes none, or nobody knows the tokens."""
        if self._tokenizer is not None:
            complete = self._tokenizer.writer(before)
            return lambda token, _is_last: complete(token)
        if not self._is_bytes:
            return lambda _token, _is_last: ""
        text = codecs.getincrementaldecoder("utf-8")("replace")
        return lambda token, is_last: text.decode(bytes([token]), is_last)

    def _tokens(self, asked: Wish) -> Sequence[int]:
        if asked.text is None:
            tokens: Sequence[int] = asked.tokens
        elif self._tokenizer is not None:
            tokens = self._tokenizer.encode(asked.text)
        elif self._is_bytes:
            tokens = tuple(asked.text.encode(errors="replace"))
        else:
            raise Refusal("invalid", "this model has a tokenizer of its own, which the artifact lacks: give tokens")
        if not 0 < len(tokens) < self._decoder.context:
            raise Refusal("invalid", f"{len(tokens)} tokens: it takes 1 to {self._decoder.context - 1}")
        if not all(0 <= token < self._decoder.vocabulary for token in tokens):
            raise Refusal("invalid", f"a token is not among {self._decoder.vocabulary}")
        return tokens


async def _with_first(
    first: dict[str, Any], others: AsyncGenerator[dict[str, Any], None]
) -> AsyncGenerator[dict[str, Any], None]:
    async with contextlib.aclosing(others):
        yield first
        async for piece in others:
            yield piece


def _chosen(logits: np.ndarray, asked: Wish, random: np.random.Generator) -> int:
    """Return the next token: the likeliest, or drawn from the top_k at a temperature."""
    if asked.temperature == 0.0:
        return int(logits.argmax())
    scaled = logits.astype(np.float64) / max(asked.temperature, 1e-6)
    if 0 < asked.top_k < len(scaled):
        scaled[scaled < np.partition(scaled, -asked.top_k)[-asked.top_k]] = -np.inf
    shares = np.exp(scaled - scaled.max())
    return int(random.choice(len(shares), p=shares / shares.sum()))
