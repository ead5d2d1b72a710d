"""Reads a request's body: bounded in bytes and in seconds, also when it is compressed."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

from workbench.serve._desk import Limits
from workbench.serve.refusal import Refusal

WINDOW = {"gzip": 31, "deflate": 47, "x-gzip": 31}  # zlib's wbits; 47 takes both headers


async def read(request: Any, limits: Limits) -> bytes:
    """Return the body; raises Refusal when it is too large (before it is read, where its length is told) or too slow."""
    told = request.headers.get("content-length", "")
    if told.isdigit() and int(told) > limits.max_bytes:
        raise _too_large(limits)
    content = bytearray()
    try:
        async with asyncio.timeout(limits.receive_seconds):
            async for chunk in request.stream():
                content += chunk
                if len(content) > limits.max_bytes:
                    raise _too_large(limits)
    except TimeoutError:
        raise Refusal("too_slow", f"the body took more than {limits.receive_seconds:g} seconds") from None
    encoding = request.headers.get("content-encoding", "identity").lower()
    return bytes(content) if encoding == "identity" else _unpacked(content, encoding, limits)


def _unpacked(content: bytearray, encoding: str, limits: Limits) -> bytes:
    if encoding not in WINDOW:
        raise Refusal("unsupported", f"content-encoding {encoding[:30]!r}: gzip, deflate and identity are known")
    unpacker = zlib.decompressobj(WINDOW[encoding])
    try:
        plain = unpacker.decompress(content, limits.max_bytes + 1)
    except zlib.error as error:
        raise Refusal("invalid", f"the body is no {encoding}: {error}") from None
    if len(plain) > limits.max_bytes:
        raise _too_large(limits)
    if not unpacker.eof or unpacker.unused_data:
        raise Refusal("invalid", f"the body is no whole {encoding} stream")
    return plain


def _too_large(limits: Limits) -> Refusal:
    return Refusal("too_large", f"more than {limits.max_bytes} bytes")
