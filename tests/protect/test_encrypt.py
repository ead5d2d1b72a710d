"""An encrypted artifact opens as the plain one does, in memory alone, or not at all."""

from __future__ import annotations

import errno
import io
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import orjson
import pytest

from tests.conftest import small_job
from tests.protect.made import answer, copied, flip, told
from workbench import artifact
from workbench.bench import carry_out
from workbench.errors import ArtifactError, InvalidInput, WorkbenchError
from workbench.protect import _keyset, encrypt, keys, load, sign
from workbench.store import Store

VIT = {"use": "vit", "layers": 1, "width": 16, "heads": 2}


@pytest.fixture(scope="module")
def encrypted(onnx_folder: Path, keys_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encrypted") / "artifact"
    encrypt.encrypt(onnx_folder, folder, keys_folder)
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(folder: Path, keys_folder: Path, to: Path) -> ArtifactError:
    """Return the error that both ways of decrypting raise, after checking that nothing is left on disk."""
    with pytest.raises(ArtifactError) as caught:
        encrypt.decrypted(folder, keys_folder)
    with pytest.raises(ArtifactError):
        encrypt.decrypt(folder, to / "plain", keys_folder)
    assert list(to.glob("*plain*")) == [] and list(to.glob(".protecting*")) == []
    return caught.value


def test_it_comes_back_bit_for_bit_and_shows_nothing_meanwhile(
    encrypted: Path, onnx_folder: Path, keys_folder: Path, tmp_path: Path
) -> None:
    assert encrypt.decrypt(encrypted, tmp_path / "plain", keys_folder)
    assert files_of(tmp_path / "plain") == files_of(onnx_folder) == encrypt.decrypted(encrypted, keys_folder)
    assert sorted(files_of(encrypted)) == ["artifact.aead", "encrypted.json"]
    content = (encrypted / "artifact.aead").read_bytes()
    assert not [word for word in (b"model.onnx", b"card.json", b"Gemm", b"digits") if word in content]


@pytest.mark.parametrize("at", [0, 30, 5000, -1])
def test_a_flipped_bit_is_refused(at: int, encrypted: Path, keys_folder: Path, tmp_path: Path) -> None:
    folder = copied(encrypted, tmp_path / "flipped")
    flip(folder / "artifact.aead", at)
    assert told(refused(folder, keys_folder, tmp_path), str(folder), "changed or cut", "copy it anew")


@pytest.mark.parametrize("kept", [0, 20, 0.5, -1])
def test_a_cut_file_is_refused(kept: float, encrypted: Path, keys_folder: Path, tmp_path: Path) -> None:
    folder = copied(encrypted, tmp_path / "cut")
    content = (folder / "artifact.aead").read_bytes()
    (folder / "artifact.aead").write_bytes(content[: int(kept * len(content)) if kept == 0.5 else int(kept)])
    assert told(refused(folder, keys_folder, tmp_path), "changed or cut")


def test_a_stream_cut_between_two_segments_is_refused(onnx_folder: Path, keys_folder: Path, tmp_path: Path) -> None:
    """Each segment of 1 MB is whole by itself: only the last one says that it is the last."""
    plain = copied(onnx_folder, tmp_path / "plain_of_two")
    (plain / "big.bin").write_bytes(os.urandom(2_500_000))
    encrypt.encrypt(plain, tmp_path / "folder", keys_folder)
    content = (tmp_path / "folder" / "artifact.aead").read_bytes()
    (tmp_path / "folder" / "artifact.aead").write_bytes(content[: 2 << 20])
    shutil.rmtree(plain)
    assert told(refused(tmp_path / "folder", keys_folder, tmp_path), "changed or cut")


def test_appended_bytes_a_missing_content_and_an_edited_header_are_refused(
    encrypted: Path, keys_folder: Path, tmp_path: Path
) -> None:
    longer, without, edited = (copied(encrypted, tmp_path / name) for name in ("longer", "without", "edited"))
    with (longer / "artifact.aead").open("ab") as file:
        file.write(b"x")
    (without / "artifact.aead").unlink()
    (edited / "encrypted.json").write_bytes((edited / "encrypted.json").read_bytes().replace(b"{", b"{ ", 1))
    for folder in (longer, without, edited):
        assert told(refused(folder, keys_folder, tmp_path), "changed or cut")
    (edited / "encrypted.json").write_bytes(b'{"schema": 1}')
    assert told(refused(edited, keys_folder, tmp_path), "is no encrypted artifact")


def test_another_key_is_told_from_damage(encrypted: Path, tmp_path: Path) -> None:
    keys.create(tmp_path / "others")
    assert told(refused(encrypted, tmp_path / "others", tmp_path), "is encrypted with key", "does not hold")


def test_a_name_that_leaves_the_folder_is_refused(encrypted: Path, keys_folder: Path, tmp_path: Path) -> None:
    folder = copied(encrypted, tmp_path / "outside")
    header = (folder / "encrypted.json").read_bytes()
    with (folder / "artifact.aead").open("wb") as file:
        stream = _keyset.cipher(keys.keyset(keys_folder)).new_encrypting_stream(file, header)
        with stream, tarfile.open(fileobj=stream, mode="w|") as archive:
            info = tarfile.TarInfo("../escaped")
            info.size = 1
            archive.addfile(info, io.BytesIO(b"x"))
    assert "which no artifact has" in str(refused(folder, keys_folder, tmp_path))
    assert not (tmp_path / "escaped").exists()


def test_what_exists_or_is_encrypted_is_not_overwritten(encrypted: Path, onnx_folder: Path, keys_folder: Path) -> None:
    with pytest.raises(InvalidInput, match="exists already"):
        encrypt.encrypt(onnx_folder, encrypted, keys_folder)
    with pytest.raises(InvalidInput, match="is encrypted already"):
        encrypt.encrypt(encrypted, encrypted.with_name("again"), keys_folder)
    with pytest.raises(ArtifactError) as caught:
        artifact.read(encrypted)
    assert told(caught.value, "is encrypted", "workbench protect decrypt")


def test_a_full_disk_leaves_nothing_behind(
    encrypted: Path, keys_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "model.onnx")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(WorkbenchError, match="is full"):
        encrypt.decrypt(encrypted, tmp_path / "plain", keys_folder)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format_name", ["onnx", "hugging_face"])
def test_it_opens_in_memory_with_the_recorded_output(
    format_name: str, shared_store: Store, keys_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"model": VIT} if format_name == "hugging_face" else {}
    plain = Path(carry_out(small_job(format={"use": format_name}, **changes), shared_store).folder) / "artifact"
    encrypt.encrypt(plain, tmp_path / "secret", keys_folder)
    signer, _ = sign.sign(tmp_path / "secret", keys_folder)

    written = list[object]()
    really = os.open

    def watched(path: object, flags: int, *rest: object, **more: object) -> int:
        written.extend([path] if flags & (os.O_WRONLY | os.O_RDWR) else [])
        return really(path, flags, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", watched)
    monkeypatch.setattr("tempfile.mkdtemp", lambda *_, **__: pytest.fail("a folder was made"))
    loaded, key = load.load(tmp_path / "secret", keys_folder)
    assert key == signer and load.gap_to_recorded(loaded) < 1e-6
    assert written == []
    np.testing.assert_array_equal(answer(loaded, plain), answer(artifact.read(plain), plain))


def test_load_asks_for_the_signature_first(
    encrypted: Path, onnx_folder: Path, keys_folder: Path, tmp_path: Path
) -> None:
    folder = copied(encrypted, tmp_path / "unsigned")
    with pytest.raises(ArtifactError, match="it is not signed"):
        load.load(folder, keys_folder)
    assert load.load(folder, keys_folder, must_be_signed=False)[1] == ""
    sign.sign(folder, keys_folder)
    flip(folder / "artifact.aead", 100)
    with pytest.raises(ArtifactError, match="is not what was signed"):
        load.load(folder, keys_folder)


def test_what_was_wrong_before_it_was_encrypted_is_found_in_memory_too(
    onnx_folder: Path, keys_folder: Path, tmp_path: Path
) -> None:
    plain = copied(onnx_folder, tmp_path / "plain")
    flip(plain / "model.onnx", -20)
    card = orjson.loads((plain / "card.json").read_bytes())
    (plain / "load.py").unlink()
    encrypt.encrypt(plain, tmp_path / "secret", keys_folder)
    loaded, _ = load.load(tmp_path / "secret", keys_folder, must_be_signed=False)
    with pytest.raises(ArtifactError, match=r"load.py is missing; model.onnx was changed"):
        artifact.open_session(loaded)
    assert card == loaded.card
