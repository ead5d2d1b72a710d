"""Nothing that can run code is opened, whatever it calls itself; programs only when somebody trusted has signed them."""

from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import small_job
from tests.protect.made import copied, told
from workbench import artifact
from workbench.bench import carry_out
from workbench.errors import ArtifactError
from workbench.protect import gate, load, sign
from workbench.store import Store


@pytest.fixture(scope="module")
def pt2_folder(shared_store: Store) -> Path:
    return Path(carry_out(small_job(format={"use": "pt2"}), shared_store).folder) / "artifact"


class Runs:
    def __reduce__(self) -> tuple:
        return (open, ("ran", "w"))


def rewritten(path: Path, change: Callable[[str, bytes], bytes | None], add: dict[str, bytes] | None = None) -> None:
    """Write a zip anew with its entries changed."""
    with zipfile.ZipFile(path) as old:
        entries = {info.filename: old.read(info) for info in old.infolist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, content in {**entries, **(add or {})}.items():
            if (kept := change(name, content)) is not None:
                new.writestr(name, kept)


def in_graph(old: str, new: str) -> Callable[[Path], None]:
    def change(name: str, content: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return content
        assert old in content.decode()
        return content.decode().replace(old, new, 1).encode()

    return lambda path: rewritten(path, change)


def pickled_weight(path: Path) -> None:
    def change(name: str, content: bytes) -> bytes:
        if name.endswith("weights/weight_0"):
            return pickle.dumps(Runs())
        if not name.endswith("model_weights_config.json"):
            return content
        record = json.loads(content)
        next(iter(record["config"].values()))["use_pickle"] = True
        return json.dumps(record).encode()

    rewritten(path, change)


def pickled_inputs(path: Path) -> None:
    rewritten(path, lambda name, content: pickle.dumps(Runs()) if name.endswith("inputs/model.pt") else content)


ATTACKS = {
    "pickled weight": (pickled_weight, "is pickled"),
    "pickled example inputs": (pickled_inputs, "pickled example inputs"),
    "another function": (in_graph("torch.ops.aten.linear.default", "torch.serialization.os.system"), "it calls"),
    "an expression": (in_graph("Symbol('s", "__import__('os').getcwd() and Symbol('s"), "it evaluates"),
    "an imported module": (in_graph('"builtins.tuple\\"', '"builtins.tuple\\", \\"__enum__\\": true, \\"x\\": \\"'), "imports a module"),
    "compiled code": (
        lambda path: rewritten(path, lambda _, content: content, {"model/data/aotinductor/model/a.so": b"\x7fELF"}),
        "a.so",
    ),
    "no zip": (lambda path: path.write_bytes(pickle.dumps(Runs())), "holds one"),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_program_that_does_more_than_compute_is_refused_though_it_is_signed(
    attack: str, pt2_folder: Path, keys_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = copied(pt2_folder, tmp_path / "artifact")
    do, words = ATTACKS[attack]
    do(folder / "model.pt2")  # type: ignore[operator]
    sign.sign(folder, keys_folder)
    with pytest.raises(ArtifactError) as caught:
        load.load(folder, keys_folder)
    assert told(caught.value, "is not opened", words, "ONNX")
    assert not (tmp_path / "ran").exists()


def test_such_a_program_does_run_when_nobody_looks(
    pt2_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the gate there is something to fear: this is what torch does with the file."""
    import torch

    monkeypatch.chdir(tmp_path)
    shutil.copyfile(pt2_folder / "model.pt2", tmp_path / "model.pt2")
    pickled_inputs(tmp_path / "model.pt2")
    with pytest.raises(Exception):  # noqa: B017 - whatever comes after it ran
        torch.export.load("model.pt2")
    assert (tmp_path / "ran").exists()


def test_a_program_is_opened_when_signed_and_refused_when_not(
    pt2_folder: Path, keys_folder: Path, tmp_path: Path
) -> None:
    folder = copied(pt2_folder, tmp_path / "artifact")
    with pytest.raises(ArtifactError) as caught:
        load.load(folder, keys_folder, must_be_signed=False)
    assert told(caught.value, "pt2 files are programs", "signed")
    sign.sign(folder, keys_folder)
    assert load.gap_to_recorded(load.load(folder, keys_folder)[0]) < 1e-3


def test_other_formats_need_no_signature_and_hold_no_pickle(onnx_folder: Path, tmp_path: Path) -> None:
    gate.check(artifact.read(onnx_folder), is_signed=False)
    folder = copied(onnx_folder, tmp_path / "artifact")
    (folder / "weights.bin").write_bytes(pickle.dumps({"w": 1}))
    (folder / "more.pth").write_bytes(b"PK")
    card = json.loads((folder / "card.json").read_text())
    card["files"] = artifact.described(folder)
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ArtifactError, match="more.pth is a pickle, or holds one; weights.bin is a pickle"):
        gate.check(artifact.read(folder), is_signed=True)
