"""Encrypts a whole artifact with Tink's streaming AEAD (AES-256-GCM in segments of 1 MB), and decrypts it to disk or memory.

    encrypted.json   cipher and key id; bound to the content, so that neither can be exchanged
    artifact.aead    one stream: a tar of the files, with their names

One stream holds everything: names and number of files don't show, and none can be swapped for that of another artifact.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import orjson

from workbench.artifact import ENCRYPTED
from workbench.errors import ArtifactError, InvalidInput
from workbench.nouns import SCHEMA
from workbench.protect import _keyset, keys
from workbench.protect._appearing import appearing

CONTENT = "artifact.aead"
KIND = "workbench-encrypted"
CHUNK = 1 << 20  # bytes at a time; the buffers that Tink makes itself hold 8 KB and take three times as long


def is_encrypted(folder: Path) -> bool:
    return (folder / ENCRYPTED).is_file()


def encrypt(folder: Path, target: Path, keys_folder: Path) -> str:
    """Write an encrypted copy of an artifact into a new folder; returns the id of the key. The original stays."""
    written = keys.keyset(keys_folder)
    names = _names(folder)
    key_id = next(key_id for key_id, state in _keyset.states(written).items() if state == "newest")
    header = orjson.dumps({"schema": SCHEMA, "kind": KIND, "cipher": _keyset.CIPHER, "key_id": key_id})
    with appearing(target) as draft:
        (draft / ENCRYPTED).write_bytes(header)
        with (
            (draft / CONTENT).open("xb") as file,
            io.BufferedWriter(_keyset.cipher(written).new_encrypting_stream(file, header).detach(), CHUNK) as stream,
            tarfile.open(fileobj=stream, mode="w|", bufsize=CHUNK, copybufsize=CHUNK) as archive,  # type: ignore[call-overload]
        ):
            for name in names:
                _add(archive, folder / name, name)
    return key_id


def decrypt(folder: Path, target: Path, keys_folder: Path) -> str:
    """Write the plain artifact into a new folder, which appears when every byte was found unchanged; returns the key id."""
    with appearing(target) as draft, _opened(folder, keys_folder) as files:
        for name, file in files:
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as plain:
                shutil.copyfileobj(file, plain, CHUNK)
    return str(orjson.loads((folder / ENCRYPTED).read_bytes())["key_id"])


def decrypted(folder: Path, keys_folder: Path) -> dict[str, bytes]:
    """Return the plain files by their names, in memory: nothing is written anywhere."""
    with _opened(folder, keys_folder) as files:
        return {name: file.read() for name, file in files}


def _names(folder: Path) -> list[str]:
    """Return the files of a plain artifact; raises for what can't be encrypted."""
    if is_encrypted(folder):
        raise InvalidInput([f"{folder} is encrypted already"])
    if not (folder / "card.json").is_file():
        raise InvalidInput([f"{folder} is no artifact: it has no card.json"], next_move="name an artifact's folder")
    found = sorted(folder.rglob("*"))
    if links := [path.name for path in found if path.is_symlink()]:
        raise ArtifactError(f"{folder} holds links: {', '.join(links)}", next_move="copy what they point to")
    return [path.relative_to(folder).as_posix() for path in found if path.is_file()]


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    """Add one file without owner, mode and time."""
    info = tarfile.TarInfo(name)
    with path.open("rb") as file:
        info.size = path.stat().st_size
        archive.addfile(info, file)


@contextlib.contextmanager
def _opened(folder: Path, keys_folder: Path) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """Give names and open plain files, in turn; raises ArtifactError at the first byte that isn't as it was encrypted.

    Nothing of it may be used before the block has ended well: only then is it known that nothing was cut off.
    """
    written = keys.keyset(keys_folder)
    header = _header(folder, _keyset.states(written), keys_folder)
    import tink

    try:
        with (folder / CONTENT).open("rb") as source:
            stream = io.BufferedReader(_keyset.cipher(written).new_decrypting_stream(source, header).detach(), CHUNK)
            with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK) as archive:
                yield _members(archive, folder)
            while stream.read(CHUNK):  # to the last segment: its authentication says that nothing was cut off
                pass
    except (tink.TinkError, tarfile.TarError, FileNotFoundError) as error:
        raise ArtifactError(
            f"{folder} was changed or cut after it was encrypted ({type(error).__name__}); nothing of it is used",
            next_move="copy it anew from where it was encrypted",
        ) from None


def _members(archive: tarfile.TarFile, folder: Path) -> Iterator[tuple[str, IO[bytes]]]:
    seen = set[str]()
    for member in archive:
        file = archive.extractfile(member) if member.isreg() else None
        if file is None or member.name in seen or not _is_inside(member.name):
            raise ArtifactError(
                f"{folder} holds {member.name!r}, which no artifact has", next_move="ask who encrypted it"
            )
        seen.add(member.name)
        yield member.name, file


def _header(folder: Path, states: dict[str, str], keys_folder: Path) -> bytes:
    """Return the header's bytes, or raise with why its key won't do."""
    try:
        content = (folder / ENCRYPTED).read_bytes()
        record: Any = orjson.loads(content)
        if (record["schema"], record["kind"], record["cipher"]) != (SCHEMA, KIND, _keyset.CIPHER):
            raise KeyError("schema, kind or cipher")
        key_id = record["key_id"]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{folder} is no encrypted artifact ({type(error).__name__}: {error})",
            next_move="name a folder that workbench protect encrypt made",
        ) from None
    if key_id not in states:
        raise ArtifactError(
            f"{folder} is encrypted with key {key_id}, which {keys_folder} does not hold",
            next_move="name the folder of keys it was encrypted with",
        )
    if states[key_id] == "revoked":
        raise ArtifactError(
            f"{folder} is encrypted with key {key_id}, which is revoked",
            next_move="encrypt the original anew, with a newer key",
        )
    return content


def _is_inside(name: str) -> bool:
    return not ({"", ".", ".."} & set(name.split("/")) or "\\" in name or ":" in name)
