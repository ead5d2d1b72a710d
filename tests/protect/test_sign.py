"""Nothing in a signed folder can be changed unnoticed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.protect.made import copied, flip, told
from workbench.errors import ArtifactError, InvalidInput
from workbench.protect import keys, sign

CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit of the weights": (lambda folder: flip(folder / "model.onnx", -20), "model.onnx"),
    "a flipped bit of the card": (lambda folder: flip(folder / "card.json", 40), "card.json"),
    "a cut file": (lambda folder: (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:-1]), "model.onnx"),
    "an extra file": (lambda folder: (folder / "extra.py").write_text("pass"), "extra.py"),
    "a hidden extra file": (lambda folder: (folder / ".gitignore").write_text("*"), ".gitignore"),
    "an extra file in .git": (lambda folder: ((folder / ".git").mkdir(), (folder / ".git" / "hook").write_text("x")), "hook"),
    "a missing file": (lambda folder: (folder / "load.py").unlink(), "load.py"),
    "a renamed file": (lambda folder: (folder / "load.py").rename(folder / "open.py"), "open.py"),
    "a link": (lambda folder: (folder / "link").symlink_to("/etc/passwd"), "link"),
    "a file turned into a link to its like": (
        lambda folder: ((folder / "load.py").rename(folder.parent / "load.py"), (folder / "load.py").symlink_to("../load.py")),
        "link",
    ),
}  # fmt: skip


@pytest.fixture
def signed(onnx_folder: Path, keys_folder: Path, tmp_path: Path) -> Path:
    folder = copied(onnx_folder, tmp_path / "artifact")
    sign.sign(folder, keys_folder)
    return folder


def test_an_untouched_folder_is_told_with_its_signer(signed: Path, keys_folder: Path, tmp_path: Path) -> None:
    newest = next(key.id for key in keys.listed(keys_folder) if key.kind == "signing" and key.state == "newest")
    assert sign.verify(signed, keys_folder) == newest
    elsewhere = copied(signed, tmp_path / "elsewhere" / "artifact")
    assert sign.verify(elsewhere, keys_folder) == newest, "a copy is as good"


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_folder_is_refused_with_the_reason(change: str, signed: Path, keys_folder: Path) -> None:
    do, name = CHANGES[change]
    do(signed)
    with pytest.raises(ArtifactError) as caught:
        sign.verify(signed, keys_folder)
    assert told(caught.value, str(signed), name)


def test_another_key_an_absent_and_a_damaged_signature_are_refused(
    signed: Path, keys_folder: Path, tmp_path: Path
) -> None:
    keys.create(tmp_path / "others")
    with pytest.raises(ArtifactError) as caught:
        sign.verify(signed, tmp_path / "others")
    assert told(caught.value, "does not hold", "don't use it")
    signature = sign.signature_of(signed)
    whole = signature.read_bytes()
    signature.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtifactError, match="is no signature"):
        sign.verify(signed, keys_folder)
    signature.unlink()
    with pytest.raises(ArtifactError, match="it is not signed"):
        sign.verify(signed, keys_folder)


@pytest.mark.parametrize("what", ["payload", "sig"])
def test_a_signature_can_not_be_edited(what: str, signed: Path, keys_folder: Path) -> None:
    path = sign.signature_of(signed)
    record = json.loads(path.read_text())
    envelope = record["dsseEnvelope"]
    place = envelope if what == "payload" else envelope["signatures"][0]
    middle = len(place[what]) // 2
    place[what] = place[what][:middle] + ("A" if place[what][middle] != "A" else "B") + place[what][middle + 1 :]
    path.write_text(json.dumps(record))
    with pytest.raises(ArtifactError) as caught:
        sign.verify(signed, keys_folder)
    assert told(caught.value, "is not what was signed")


def test_a_signature_that_names_a_trusted_key_but_is_of_another_is_refused(
    signed: Path, keys_folder: Path, tmp_path: Path
) -> None:
    path = sign.signature_of(signed)
    trusted = json.loads(path.read_text())["verificationMaterial"]["publicKey"]["hint"]
    keys.create(tmp_path / "others")
    sign.sign(signed, tmp_path / "others")
    record = json.loads(path.read_text())
    record["verificationMaterial"]["publicKey"]["hint"] = trusted
    path.write_text(json.dumps(record))
    with pytest.raises(ArtifactError, match="its signature is wrong"):
        sign.verify(signed, keys_folder)


def test_a_folder_with_a_link_is_not_signed_nor_is_a_signature_put_inside(signed: Path, keys_folder: Path) -> None:
    with pytest.raises(InvalidInput, match="lies in what it signs"):
        sign.sign(signed, keys_folder, signature=signed / "own.sig")
    (signed / "link").symlink_to("card.json")
    with pytest.raises(ArtifactError, match="holds a link"):
        sign.sign(signed, keys_folder)


def test_model_signing_alone_verifies_it(signed: Path, keys_folder: Path) -> None:
    public = next(keys_folder.glob("public-*.pem"))
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(signed), "--public_key", str(public)]
    command += ["--signature", str(sign.signature_of(signed)), "--no-ignore-git-paths"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
