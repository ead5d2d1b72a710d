"""The keys that clients show: only their sha256 is kept, with scopes, an end and whether they were revoked.

    {"schema": 1, "kind": "workbench-api-keys", "keys": [{"id", "name", "scopes", "sha256", "created", "expires", "revoked"}]}

A token is `wb_<id>_<secret>`, 32 random bytes behind the id; it is shown once, when it is made.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from workbench import _lock
from workbench.errors import ArtifactError, InvalidInput
from workbench.nouns import SCHEMA
from workbench.store import disk_errors

KIND = "workbench-api-keys"
SCOPES = ("predict", "admin")
MIN_TOKEN = 16
GRACE = timedelta(hours=24)  # how long a key that was rotated still works


@dataclass(frozen=True)
class ApiKey:
    id: str
    name: str  # whose it is
    scopes: tuple[str, ...]
    sha256: str  # of the whole token
    created: str
    expires: str = ""  # empty: never
    revoked: str = ""  # when; empty: it is not

    @property
    def state(self) -> str:
        if self.revoked:
            return "revoked"
        return "expired" if self.expires and self.expires <= _text(_now()) else "good"


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def of_token(token: str) -> ApiKey:
    """Return a key with every scope for a token that somebody made up; raises InvalidInput when it is easy to guess."""
    if len(token) < MIN_TOKEN or not token.isascii() or set(token) & set(" \t\r\n"):
        raise InvalidInput(
            [f"a token has at least {MIN_TOKEN} characters, no spaces"], next_move="openssl rand -hex 16"
        )
    return ApiKey(digest(token)[:12], "given", SCOPES, digest(token), _text(_now()))


def new(name: str, scopes: Sequence[str], *, days: float | None = None) -> tuple[ApiKey, str]:
    """Return a new key and its token; `days=None` never ends."""
    if not scopes or set(scopes) - set(SCOPES):
        raise InvalidInput([f"scopes are {' and '.join(SCOPES)}, not {', '.join(scopes) or 'none'}"])
    if days is not None and not 0 < days <= 36_500:
        raise InvalidInput([f"{days:g} days is no time that a key can last"])
    key_id = secrets.token_hex(6)
    token = f"wb_{key_id}_{secrets.token_urlsafe(32)}"
    end = "" if days is None else _text(_now() + timedelta(days=days))
    return ApiKey(key_id, name, tuple(dict.fromkeys(scopes)), digest(token), _text(_now()), end), token


def add(file: Path, name: str, scopes: Sequence[str], *, days: float | None = None) -> tuple[ApiKey, str]:
    """Add a key to a file, which is made when it isn't there; returns it and its token."""
    key, token = new(name, scopes, days=days)
    with _changing(file) as keys:
        keys.append(key)
    return key, token


def rotate(file: Path, key_id: str, *, grace: timedelta = GRACE) -> tuple[ApiKey, str]:
    """Add a key with the same name and scopes; the old one ends after `grace`. Returns the new one and its token."""
    with _changing(file) as keys:
        old = _find(keys, key_id, file)
        if old.state != "good":
            raise InvalidInput([f"key {key_id} is {old.state}"], next_move="add a new one")
        key, token = new(old.name, old.scopes)
        lasted = None if not old.expires else _time(old.expires) - _time(old.created)
        key = replace(key, expires=_text(_now() + lasted) if lasted else "")
        end = _text(_now() + grace)
        keys[keys.index(old)] = replace(old, expires=min(old.expires or end, end))
        keys.append(key)
    return key, token


def revoke(file: Path, key_id: str) -> ApiKey:
    """Refuse a key from now on; a running server sees it within a second."""
    with _changing(file) as keys:
        old = _find(keys, key_id, file)
        gone = replace(old, revoked=old.revoked or _text(_now()))
        keys[keys.index(old)] = gone
    return gone


def read(file: Path) -> list[ApiKey]:
    """Return the keys, oldest first; raises ArtifactError when the file is none, or others may read it."""
    try:
        mode = file.stat().st_mode & 0o777
        record: Any = orjson.loads(file.read_bytes())
        if record["schema"] != SCHEMA or record["kind"] != KIND:
            raise KeyError("schema or kind")
        keys = [ApiKey(**{**each, "scopes": tuple(each["scopes"])}) for each in record["keys"]]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{file} is no file of keys ({type(error).__name__}: {error})",
            next_move=f"make one: workbench apikeys add {file} --name NAME",
        ) from None
    if os.name == "posix" and mode & 0o022:
        raise ArtifactError(f"{file} may be written by others (mode {mode:o})", next_move=f"chmod 600 {file}")
    return keys


def _find(keys: list[ApiKey], key_id: str, file: Path) -> ApiKey:
    for key in keys:
        if key.id == key_id:
            return key
    raise InvalidInput([f"no key {key_id!r} in {file}"], next_move=f"workbench apikeys list {file}")


@contextlib.contextmanager
def _changing(file: Path) -> Iterator[list[ApiKey]]:
    """Give the keys to one process at a time, and write them back whole."""
    with disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.with_name(f".{file.name}.lock").open("ab") as lock:
            _lock.take(lock, wait=True)
            keys = read(file) if file.exists() else []
            yield keys
            record = {"schema": SCHEMA, "kind": KIND, "keys": [asdict(key) for key in keys]}
            partial = file.with_name(f".{file.name}.partial")
            partial.unlink(missing_ok=True)
            with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as written:
                written.write(orjson.dumps(record, option=orjson.OPT_INDENT_2))
                written.flush()
                os.fsync(written.fileno())
            partial.replace(file)


def _now() -> datetime:
    return datetime.now(UTC)


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
