"""The encryption keyset as Tink writes it: the newest key encrypts, every one that isn't revoked decrypts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from workbench.errors import ArtifactError, InvalidInput

CIPHER = "AES256_GCM_HKDF_1MB"


def new() -> bytes:
    """Return a keyset of one key, as JSON that holds the secret."""
    import tink
    from tink import streaming_aead

    streaming_aead.register()
    template = getattr(streaming_aead.streaming_aead_key_templates, CIPHER)
    return _written(tink.new_keyset_handle(template))


def with_newer_key(written: bytes) -> bytes:
    """Return the keyset with one more key, which encrypts from now on."""
    keyset, more = _proto(written), _proto(new())
    while more.key[0].key_id in {key.key_id for key in keyset.key}:
        more = _proto(new())
    keyset.key.extend(more.key)
    keyset.primary_key_id = more.primary_key_id
    return _from_proto(keyset)


def with_revoked(written: bytes, key_id: str) -> bytes:
    """Return the keyset with one key disabled; raises InvalidInput for the newest, which encrypts."""
    from tink.proto import tink_pb2

    keyset = _proto(written)
    if str(keyset.primary_key_id) == key_id:
        raise InvalidInput([f"key {key_id} is the newest: it encrypts"], next_move="rotate first: keygen --rotate")
    for key in keyset.key:
        if str(key.key_id) == key_id:
            key.status = tink_pb2.DISABLED
    return _from_proto(keyset)


def states(written: bytes) -> dict[str, str]:
    """Return the state of every key by its id, oldest first: newest, older or revoked."""
    from tink.proto import tink_pb2

    keyset = _proto(written)
    found = {}
    for key in keyset.key:
        state = "newest" if key.key_id == keyset.primary_key_id else "older"
        found[str(key.key_id)] = state if key.status == tink_pb2.ENABLED else "revoked"
    return found


def cipher(written: bytes) -> Any:
    """Return Tink's StreamingAead over all keys that aren't revoked."""
    from tink import streaming_aead

    streaming_aead.register()
    return _handle(written).primitive(streaming_aead.StreamingAead)


def read(path: Path) -> bytes:
    """Return the keyset's file; raises ArtifactError when it can't be used."""
    import tink

    content = private_bytes(path)
    try:
        _handle(content)
    except tink.TinkError as error:
        raise ArtifactError(f"{path} is no keyset: {error}", next_move="restore it from its backup") from None
    return content


def private_bytes(path: Path) -> bytes:
    """Return a secret file; raises ArtifactError when it is missing or others may read it."""
    try:
        mode = path.stat().st_mode & 0o777
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(
            f"{path} can't be read ({error.strerror}): this needs the secret keys, not only the public ones",
            next_move="name the folder that workbench protect keygen made",
        ) from None
    if os.name == "posix" and mode & 0o077:
        raise ArtifactError(f"{path} may be read by others (mode {mode:o})", next_move=f"chmod 600 {path}")
    return content


def _handle(written: bytes) -> Any:
    import tink
    from tink import secret_key_access

    return tink.json_proto_keyset_format.parse(written.decode(errors="replace"), secret_key_access.TOKEN)


def _written(handle: Any) -> bytes:
    import tink
    from tink import secret_key_access

    return tink.json_proto_keyset_format.serialize(handle, secret_key_access.TOKEN).encode()


def _proto(written: bytes) -> Any:
    """Tink's Python has no keyset manager: keys are added and disabled in the message itself."""
    import tink
    from tink import secret_key_access
    from tink.proto import tink_pb2

    return tink_pb2.Keyset.FromString(tink.proto_keyset_format.serialize(_handle(written), secret_key_access.TOKEN))


def _from_proto(keyset: Any) -> bytes:
    import tink
    from tink import secret_key_access

    return _written(tink.proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN))
