"""Keys are made once, kept from others, rotated and revoked."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.protect.made import told
from workbench.errors import ArtifactError, InvalidInput, MissingExtra
from workbench.protect import encrypt, keys, sign


def ids(folder: Path, kind: str, state: str) -> list[str]:
    return [key.id for key in keys.listed(folder) if (key.kind, key.state) == (kind, state)]


def test_secrets_are_readable_by_their_owner_alone_and_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    keys.create(folder)
    (signing,) = folder.glob("signing-*.pem")
    assert {path.stat().st_mode & 0o777 for path in (signing, folder / "encryption.json")} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    before = signing.read_bytes(), (folder / "encryption.json").read_bytes()
    with pytest.raises(InvalidInput, match="never overwritten"):
        keys.create(folder)
    assert before == (signing.read_bytes(), (folder / "encryption.json").read_bytes())


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path, onnx_folder: Path) -> None:
    folder = tmp_path / "keys"
    keys.create(folder)
    (signing,) = folder.glob("signing-*.pem")
    signing.chmod(0o644)
    with pytest.raises(ArtifactError) as caught:
        sign.sign(onnx_folder, folder, signature=tmp_path / "a.sig")
    assert told(caught.value, "may be read by others", "chmod 600")
    (folder / "encryption.json").chmod(0o640)
    with pytest.raises(ArtifactError, match="may be read by others"):
        encrypt.encrypt(onnx_folder, tmp_path / "secret", folder)
    assert not (tmp_path / "secret").exists()


def test_after_a_rotation_the_newest_key_works_and_the_older_still_opens(tmp_path: Path, onnx_folder: Path) -> None:
    folder, signature = tmp_path / "keys", tmp_path / "old.sig"
    keys.create(folder)
    old_signer, _ = sign.sign(onnx_folder, folder, signature=signature)
    old_key = encrypt.encrypt(onnx_folder, tmp_path / "old", folder)
    keys.rotate(folder)
    assert sign.verify(onnx_folder, folder, signature=signature) == old_signer
    assert "card.json" in encrypt.decrypted(tmp_path / "old", folder)
    assert sign.sign(onnx_folder, folder, signature=tmp_path / "new.sig")[0] == ids(folder, "signing", "newest")[0]
    new_key = encrypt.encrypt(onnx_folder, tmp_path / "new", folder)
    assert new_key != old_key and encrypt.decrypted(tmp_path / "new", folder) == encrypt.decrypted(
        tmp_path / "old", folder
    )
    assert [ids(folder, "signing", "older"), ids(folder, "encryption", "older")] == [[old_signer], [old_key]]


def test_what_a_revoked_key_made_is_refused(tmp_path: Path, onnx_folder: Path) -> None:
    folder, signature = tmp_path / "keys", tmp_path / "old.sig"
    keys.create(folder)
    old_signer, _ = sign.sign(onnx_folder, folder, signature=signature)
    old_key = encrypt.encrypt(onnx_folder, tmp_path / "old", folder)
    for newest in (old_signer, old_key):
        with pytest.raises(InvalidInput, match="rotate first"):
            keys.revoke(folder, newest)
    keys.rotate(folder)
    keys.revoke(folder, old_signer)
    keys.revoke(folder, old_key)
    with pytest.raises(ArtifactError) as caught:
        sign.verify(onnx_folder, folder, signature=signature)
    assert told(caught.value, old_signer, "revoked on")
    with pytest.raises(ArtifactError) as caught:
        encrypt.decrypted(tmp_path / "old", folder)
    assert told(caught.value, old_key, "revoked")
    with pytest.raises(InvalidInput, match="no key 'nobody'"):
        keys.revoke(folder, "nobody")


def test_a_verifier_needs_no_secret_and_can_do_nothing_else(
    tmp_path: Path, onnx_folder: Path, keys_folder: Path
) -> None:
    signer, _ = sign.sign(onnx_folder, keys_folder, signature=tmp_path / "a.sig")
    public = tmp_path / "public"
    public.mkdir()
    for path in (keys_folder / "keys.json", *keys_folder.glob("public-*.pem")):
        shutil.copy(path, public)
    assert sign.verify(onnx_folder, public, signature=tmp_path / "a.sig") == signer
    with pytest.raises(ArtifactError, match="needs the secret keys"):
        sign.sign(onnx_folder, public, signature=tmp_path / "b.sig")


def test_an_exchanged_public_key_is_refused(tmp_path: Path, onnx_folder: Path, keys_folder: Path) -> None:
    sign.sign(onnx_folder, keys_folder, signature=tmp_path / "a.sig")
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    shutil.copytree(keys_folder, mine)
    keys.create(theirs)
    shutil.copy(next(theirs.glob("public-*.pem")), next(mine.glob("public-*.pem")))
    with pytest.raises(ArtifactError, match="its sha256 is not its name"):
        sign.verify(onnx_folder, mine, signature=tmp_path / "a.sig")


def test_a_missing_extra_says_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "tink" else found(name, *rest))
    calls: tuple[Any, ...] = (
        keys.create,
        keys.listed,
        lambda path: sign.sign(path, path),
        lambda path: sign.verify(path, path),
    )
    for call in (*calls, lambda path: encrypt.decrypted(path, path)):
        with pytest.raises(MissingExtra, match=r"pip install 'workbench\[protect\]'"):
            call(tmp_path / "keys")
