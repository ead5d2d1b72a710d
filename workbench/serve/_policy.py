"""Who may do what: one object that both ports ask."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.errors import ArtifactError, InvalidInput
from workbench.serve import api_keys
from workbench.serve.api_keys import ApiKey
from workbench.serve.refusal import Refusal

PREDICT, ADMIN = api_keys.SCOPES
LOOK_AGAIN_SECONDS = 1.0  # how often the file of keys is looked at


class Policy:
    """Admits tokens; keys come from a file that is read again when it changes, or are given."""

    def __init__(self, *, file: Path | None = None, keys: Sequence[ApiKey] = (), rate: str = "") -> None:
        self._file, self._keys = file, {key.sha256: key for key in keys}
        self._seen: tuple[int, int] | None = None  # the file's time and inode
        self._looked = 0.0
        self._limit, self._limiter = _rate(rate)
        if file is not None:
            api_keys.read(file)  # a wrong file is said at once
        self._refresh()

    def admit(self, authorization: str, scope: str) -> ApiKey:
        """Return the key that a header `Bearer TOKEN` shows; raises Refusal when it is none, or may not do this."""
        self._refresh()
        kind, _, token = authorization.partition(" ")
        if not token or kind.lower() != "bearer":
            raise Refusal("no_key", "send a key: Authorization: Bearer TOKEN")
        key = self._keys.get(api_keys.digest(token))
        if key is None:
            raise Refusal("no_key", "this key is not known here")
        if key.state != "good":
            raise Refusal("no_key", f"this key is {key.state}")
        if scope not in key.scopes:
            raise Refusal("forbidden", f"this needs a key with scope {scope}")
        if self._limit is not None and not self._limiter.hit(self._limit, key.id):
            raise Refusal("too_many", f"more than {self._limit} with this key")
        return key

    def _refresh(self) -> None:
        if self._file is None or time.monotonic() - self._looked < LOOK_AGAIN_SECONDS:
            return
        self._looked = time.monotonic()
        try:
            facts = os.stat(self._file)
        except OSError:
            self._keys, self._seen = {}, None  # no file, no keys: nobody is let in
            return
        if self._seen != (facts.st_mtime_ns, facts.st_ino):
            try:
                self._keys = {key.sha256: key for key in api_keys.read(self._file)}
            except ArtifactError:
                self._keys = {}
            self._seen = (facts.st_mtime_ns, facts.st_ino)


def _rate(text: str) -> tuple[Any, Any]:
    """Return what `limits` makes of a text like 100/second, and what counts; (None, None) for no text."""
    if not text:
        return None, None
    import limits

    try:
        return limits.parse(text), limits.strategies.FixedWindowRateLimiter(limits.storage.MemoryStorage())
    except ValueError as error:
        raise InvalidInput([f"--rate {text!r}: {error}"], next_move="as in 100/second or 5000/hour") from None
