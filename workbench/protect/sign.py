"""Signs a whole artifact folder, and finds out whether it still is what was signed.

The signature is a file beside the folder, in the OpenSSF model-signing format (in-toto statement in a sigstore bundle), so
that `model_signing verify key` checks it without this library.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import orjson

from workbench.errors import ArtifactError, InvalidInput
from workbench.protect import keys
from workbench.store import disk_errors

SUFFIX = ".sig"


def signature_of(folder: Path) -> Path:
    """Return where a folder's signature lies: `artifact.sig` beside `artifact`."""
    folder = folder.absolute()
    return folder.with_name(folder.name + SUFFIX)


def sign(folder: Path, keys_folder: Path, *, signature: Path | None = None) -> tuple[str, Path]:
    """Sign every file of a folder with the newest key; returns its id and the signature's path (default: beside it).

    A signature that is there is replaced. Raises ArtifactError for a folder that holds a link or no file.
    """
    keys.need_extra()
    import model_signing.signing

    signature = signature or signature_of(folder)
    _check_folder(folder, signature)
    key_id, path = keys.signing_key(keys_folder)
    partial = signature.with_name(f".{signature.name}.partial")
    with disk_errors(signature):
        try:
            config = model_signing.signing.Config().use_elliptic_key_signer(private_key=path)
            config.set_hashing_config(_hashing()).sign(folder, partial)
            partial.replace(signature)
        finally:
            partial.unlink(missing_ok=True)
    return key_id, signature


def verify(folder: Path, keys_folder: Path, *, signature: Path | None = None) -> str:
    """Return the id of the key that signed the folder as it is now; raises ArtifactError with what is wrong."""
    keys.need_extra()
    import model_signing.verifying
    from cryptography.exceptions import InvalidSignature

    signature = signature or signature_of(folder)
    _check_folder(folder, signature)
    try:
        key_id, public = keys.public_key(keys_folder, _hint(signature))
        config = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=public)
        config.set_hashing_config(_hashing()).verify(folder, signature)
    except ArtifactError as error:
        raise ArtifactError(f"{folder}: {error.message}", next_move=error.next_move) from None
    except (
        InvalidSignature,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
    ) as error:  # what it raises on odd files
        raise ArtifactError(
            f"{folder} is not what was signed: {_reason(error)}",
            next_move="don't open it; copy it anew from where it was signed",
        ) from None
    return key_id


def _hashing() -> Any:
    """Every file counts: left alone, model-signing would neither sign nor miss .git and its like."""
    import model_signing.hashing

    return model_signing.hashing.Config().set_ignored_paths(paths=[], ignore_git_paths=False)


def _check_folder(folder: Path, signature: Path) -> None:
    if not folder.is_dir():
        raise InvalidInput([f"no folder {folder}"], next_move="name an artifact's folder, or a run")
    if signature.absolute().is_relative_to(folder.absolute()):
        raise InvalidInput([f"{signature} lies in what it signs"], next_move="put the signature beside the folder")
    found = sorted(folder.rglob("*"))
    modes = {path: path.lstat().st_mode for path in found}
    odd = [path for path, mode in modes.items() if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)]
    if odd:
        names = ", ".join(str(path.relative_to(folder)) for path in odd)
        raise ArtifactError(
            f"{folder} holds a link or a device: {names}", next_move="remove it, or copy what it points to in its place"
        )
    if not any(stat.S_ISREG(mode) for mode in modes.values()):
        raise ArtifactError(f"{folder} holds no file", next_move="name an artifact's folder")


def _hint(signature: Path) -> str:
    """Return which key a signature says it is of; that is checked later."""
    try:
        return str(orjson.loads(signature.read_bytes())["verificationMaterial"]["publicKey"]["hint"])
    except FileNotFoundError:
        raise ArtifactError(f"it is not signed: no {signature}", next_move="workbench protect sign") from None
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{signature} is no signature ({type(error).__name__})", next_move="copy it anew from the signer"
        ) from None


def _reason(error: Exception) -> str:
    return str(error).removeprefix("Signature mismatch: ") or f"its signature is wrong ({type(error).__name__})"
