"""A folder of keys: made once, rotated, revoked.

    keys.json           ids of the signing keys, when each was made and revoked; nothing secret
    public-<id>.pem     verifies; with keys.json all that a verifier needs
    signing-<id>.pem    signs (ECDSA on P-256); mode 0600
    encryption.json     Tink's keyset; mode 0600

The newest key signs and encrypts, the older ones still verify and decrypt, revoked ones are refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from workbench import _lock
from workbench.errors import ArtifactError, InvalidInput, MissingExtra
from workbench.nouns import SCHEMA
from workbench.protect import _keyset
from workbench.store import disk_errors

KIND = "workbench-keys"
LIST, KEYSET, LOCK = "keys.json", "encryption.json", ".lock"
REQUIRES = ("tink", "model_signing", "cryptography")


@dataclass(frozen=True)
class SigningKey:
    id: str  # first 16 hex digits of the sha256 of its public PEM, which model-signing writes into signatures
    created: str
    revoked: str = ""  # when; empty: it is not


@dataclass(frozen=True)
class Key:
    """One line of `listed`."""

    kind: str  # signing | encryption
    id: str
    state: str  # newest | older | revoked


def need_extra() -> None:
    """Raise MissingExtra with the command that installs what protecting takes."""
    if absent := [name for name in REQUIRES if importlib.util.find_spec(name) is None]:
        raise MissingExtra(
            f"protecting artifacts needs {', '.join(absent)}", next_move="pip install 'workbench[protect]'"
        )


def create(folder: Path) -> list[Key]:
    """Make a new folder with one signing key pair and one encryption key; refuses a folder that exists."""
    need_extra()
    with disk_errors(folder):
        try:
            folder.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            raise InvalidInput(
                [f"{folder} exists already: keys are never overwritten"],
                next_move="name a new folder, or add newer keys: --rotate",
            ) from None
        _write_private(folder / KEYSET, _keyset.new())
        _write_list(folder, [_new_signing_key(folder)])
    return listed(folder)


def rotate(folder: Path) -> list[Key]:
    """Add a newer signing key and a newer encryption key."""
    need_extra()
    with _changing(folder):
        known = _signing_keys(folder)
        _write_private(folder / KEYSET, _keyset.with_newer_key(_keyset.read(folder / KEYSET)))
        _write_list(folder, [*known, _new_signing_key(folder)])
    return listed(folder)


def revoke(folder: Path, key_id: str) -> list[Key]:
    """Refuse a key from now on, for everything that it ever signed or encrypted; raises InvalidInput for the newest."""
    need_extra()
    with _changing(folder):
        known = _signing_keys(folder)
        if key_id == known[-1].id:
            raise InvalidInput([f"key {key_id} is the newest: it signs"], next_move="rotate first: keygen --rotate")
        if key_id in {key.id for key in known}:
            now = _now()
            _write_list(
                folder, [replace(key, revoked=key.revoked or now) if key.id == key_id else key for key in known]
            )
        elif key_id in _keyset.states(written := _keyset.read(folder / KEYSET)):
            _write_private(folder / KEYSET, _keyset.with_revoked(written, key_id))
        else:
            raise InvalidInput([f"no key {key_id!r} in {folder}"], next_move=f"workbench protect keys {folder}")
    return listed(folder)


def listed(folder: Path) -> list[Key]:
    """Return every key without its secret, oldest first; the encryption keys only where they lie."""
    need_extra()
    known = _signing_keys(folder)
    found = [
        Key("signing", key.id, "revoked" if key.revoked else "newest" if key is known[-1] else "older") for key in known
    ]
    if (folder / KEYSET).exists():
        states = _keyset.states(_keyset.read(folder / KEYSET))
        found += [Key("encryption", key_id, state) for key_id, state in states.items()]
    return found


def signing_key(folder: Path) -> tuple[str, Path]:
    """Return id and file of the newest signing key, after checking that only its owner may read it."""
    newest = _signing_keys(folder)[-1]
    path = folder / f"signing-{newest.id}.pem"
    _keyset.private_bytes(path)
    return newest.id, path


def public_key(folder: Path, hint: str) -> tuple[str, Path]:
    """Return id and file of the key whose sha256 begins or is `hint`; raises ArtifactError when it isn't trusted."""
    key = next((key for key in _signing_keys(folder) if len(hint) >= 16 and hint[:16] == key.id), None)
    if key is None:
        raise ArtifactError(
            f"it was signed with key {hint[:16] or '(none named)'}, which {folder} does not hold",
            next_move="don't use it; or get that signer's public key from themselves",
        )
    if key.revoked:
        raise ArtifactError(
            f"it was signed with key {key.id}, revoked on {key.revoked}", next_move="get it signed with a newer key"
        )
    path = folder / f"public-{key.id}.pem"
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ArtifactError(f"{path} can't be read ({error.strerror})", next_move="copy it from the signer") from None
    if found[:16] != key.id:
        raise ArtifactError(f"{path} was changed: its sha256 is not its name", next_move="copy it from the signer")
    return key.id, path


def keyset(folder: Path) -> bytes:
    """Return the encryption keyset for `_keyset.cipher` and `_keyset.states`."""
    need_extra()
    return _keyset.read(folder / KEYSET)


def _signing_keys(folder: Path) -> list[SigningKey]:
    try:
        record: Any = orjson.loads((folder / LIST).read_bytes())
        if record["schema"] != SCHEMA or record["kind"] != KIND or not record["signing"]:
            raise KeyError("schema, kind or keys")
        return [SigningKey(**each) for each in record["signing"]]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{folder} is no folder of keys ({type(error).__name__}: {error})",
            next_move="make one: workbench protect keygen FOLDER",
        ) from None


def _new_signing_key(folder: Path) -> SigningKey:
    """Write both halves of a new key pair."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    key = SigningKey(hashlib.sha256(public).hexdigest()[:16], _now())
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write_private(folder / f"signing-{key.id}.pem", secret)
    (folder / f"public-{key.id}.pem").write_bytes(public)
    return key


def _write_list(folder: Path, known: list[SigningKey]) -> None:
    record = {"schema": SCHEMA, "kind": KIND, "signing": [asdict(key) for key in known]}
    _write_private(folder / LIST, orjson.dumps(record, option=orjson.OPT_INDENT_2))


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


@contextlib.contextmanager
def _changing(folder: Path) -> Iterator[None]:
    """Let one process at a time change the keys: a lost encryption key is lost data."""
    _signing_keys(folder)
    with disk_errors(folder), (folder / LOCK).open("ab") as file:
        _lock.take(file, wait=True)
        yield


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
