"""What isn't as it was made is not served: the old version goes on answering, and the reason is told."""

from __future__ import annotations

import asyncio
import io
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import small_job
from tests.protect.made import flip
from workbench import artifact
from workbench.bench import carry_out
from workbench.errors import InvalidInput, WorkbenchError
from workbench.nouns import Artifact
from workbench.protect import encrypt, keys, sign
from workbench.serve import repository
from workbench.serve._opening import Trust
from workbench.serve.models import Models
from workbench.store import Store, write_json


@pytest.fixture
def models(artifacts: dict[str, Path], tmp_path: Path) -> Path:
    """A repository of one model."""
    repository.add(artifacts["digits"], tmp_path / "models", name="digits")
    return tmp_path / "models"


@pytest.fixture(scope="module")
def keys_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys") / "keys"
    keys.create(folder)
    return folder


def loaded(root: Path, trust: Trust | None = None) -> Models:
    async def load() -> Models:
        made = Models([root], trust=trust)
        await made.load_all()
        return made

    return asyncio.run(load())


def reason(root: Path, trust: Trust | None = None) -> str:
    with pytest.raises(WorkbenchError) as told:
        loaded(root, trust)
    return str(told.value)


def redescribed(folder: Path) -> None:
    """Write the card anew, as somebody would who wants a changed file to pass."""
    card = dict(artifact.read(folder).card)
    card["files"] = artifact.described(folder)
    write_json(folder / "card.json", card)


def a_pickle(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(pickle.dumps({"a": 1}))
    redescribed(folder)


def a_pickle_by_name(folder: Path) -> None:
    (folder / "model.pt").write_bytes(b"anything")
    redescribed(folder)


def a_pickle_in_a_zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps([1]))
    redescribed(folder)


def an_array_of_objects(folder: Path) -> None:
    np.savez(folder / "probe.npz", output=np.array([{}], object), input_pixels=np.zeros((1, 1, 8, 8), np.float32))
    redescribed(folder)


def a_link(folder: Path) -> None:
    target = folder.parent.parent.parent / "elsewhere.onnx"
    shutil.move(folder / "model.onnx", target)
    (folder / "model.onnx").symlink_to(target)


def weights_outside(folder: Path) -> None:
    """The graph asks for a file out of its folder as weights."""
    import onnx

    graph = onnx.load(folder / "model.onnx")
    outside = folder.parent.parent.parent / "outside.bin"
    outside.write_bytes(bytes(1 << 16))
    tensor = max(graph.graph.initializer, key=lambda each: len(each.raw_data))
    size = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", str(outside)), ("offset", "0"), ("length", str(size))):
        tensor.external_data.add(key=key, value=value)
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    redescribed(folder)


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit": (lambda folder: flip(folder / "model.onnx", 2000), "was changed"),
    "a cut file": (lambda folder: (folder / "model.onnx").write_bytes(b"x"), "bytes, the card says"),
    "a missing file": (lambda folder: (folder / "model.onnx").unlink(), "is missing"),
    "an extra file": (lambda folder: (folder / "extra.txt").write_text("x"), "does not name"),
    "no card": (lambda folder: (folder / "card.json").unlink(), "no artifact"),
    "a card of nothing": (lambda folder: (folder / "card.json").write_text("[]"), "no artifact"),
    "a pickle": (a_pickle, "is a pickle"),
    "a pickle by name": (a_pickle_by_name, "is a pickle"),
    "a pickle in a zip": (a_pickle_in_a_zip, "is a pickle"),
    "an array of objects": (an_array_of_objects, "is a pickle"),
    "a link": (a_link, "link"),
    "weights outside": (weights_outside, "can't be opened"),
    "another answer": (lambda folder: _another_answer(folder), "gap"),
    "no ONNX": (lambda folder: (folder / "model.onnx").write_bytes(b"no model") and redescribed(folder), "can't be opened"),
}  # fmt: skip


def _another_answer(folder: Path) -> None:
    with np.load(folder / "probe.npz") as probe:
        content = dict(probe)
    buffer = io.BytesIO()
    np.savez(buffer, **{**content, "output": content["output"] + 1})
    (folder / "probe.npz").write_bytes(buffer.getvalue())
    redescribed(folder)


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_artifact_is_refused_and_the_old_one_stays(models: Path, what: str) -> None:
    change, told = CHANGES[what]

    async def swap() -> tuple[str, int, str]:
        made = Models([models])
        await made.load_all()
        before = made.get("digits")
        change(models / "digits" / "1")
        with pytest.raises(WorkbenchError) as error:
            await made.load("digits")
        assert made.get("digits") is before
        return str(error.value), len(made.all()), made.index()[0]["reason"]

    message, count, listed = asyncio.run(swap())
    assert told in message and count == 1 and told in listed


def test_with_trust_only_what_is_signed_is_served(models: Path, keys_folder: Path, tmp_path: Path) -> None:
    folder, trust = models / "digits" / "1", Trust(keys_folder)
    assert "not signed" in reason(models, trust)
    sign.sign(folder, keys_folder)
    assert loaded(models, trust).get("digits").signer == keys.listed(keys_folder)[0].id
    keys.create(tmp_path / "others")
    assert "does not hold" in reason(models, Trust(tmp_path / "others"))
    redescribed_byte = folder / "load.py"
    redescribed_byte.write_text("print('hello')")
    redescribed(folder)
    assert "load.py" in reason(models, trust)


def test_an_encrypted_artifact_is_served_and_nothing_plain_touches_the_disk(
    artifacts: dict[str, Path], keys_folder: Path, tmp_path: Path, example: np.ndarray
) -> None:
    encrypt.encrypt(artifacts["digits"], tmp_path / "secret", keys_folder)
    sign.sign(tmp_path / "secret", keys_folder)
    root = tmp_path / "models"
    with pytest.raises(InvalidInput, match="encrypted"):
        repository.add(tmp_path / "secret", root, name="digits")
    repository.add(tmp_path / "secret", root, name="digits", keys=keys_folder)
    assert "is encrypted" in reason(root)
    served = loaded(root, Trust(keys_folder)).get("digits")
    expected = artifact.open_session(artifact.read(artifacts["digits"]))({"pixels": example})["logits"]
    assert np.array_equal(served.session({"pixels": example})["logits"], expected)
    assert sorted(path.name for path in root.rglob("*") if path.is_file()) == [
        "1.sig", "artifact.aead", "config.pbtxt", "encrypted.json"
    ]  # fmt: skip
    flip(root / "digits" / "1" / "artifact.aead", 3000)
    assert "changed or cut" in reason(root, Trust(keys_folder, must_be_signed=False))


@pytest.mark.parametrize("name", ["../digits", "a/b", "", ".hidden", "a b", "x" * 129, "a\\b", "..", "con\n"])
def test_a_name_that_is_a_path_is_refused(artifacts: dict[str, Path], tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="no name of a model"):
        repository.add(artifacts["digits"], tmp_path / "models", name=name)
    assert not (tmp_path / "models").exists()


def test_versions_are_added_and_never_overwritten(artifacts: dict[str, Path], models: Path) -> None:
    assert repository.add(artifacts["digits"], models, name="digits")[1] == 2
    with pytest.raises(InvalidInput, match="version 2 already"):
        repository.add(artifacts["digits"], models, name="digits", version=2)
    with pytest.raises(InvalidInput, match="other inputs"):
        repository.add(artifacts["lm"], models, name="digits")
    assert list(loaded(models).versions("digits")) == ["2"]
    config = models / "digits" / "config.pbtxt"
    config.write_text(config.read_text().replace("dims: 10", "dims: 11"))
    assert "other inputs or outputs" in reason(models)
    config.write_text("nonsense {")
    assert "nonsense" in reason(models)


def test_a_served_artifact_has_its_content_in_memory(models: Path) -> None:
    """Removing the folder after the load takes nothing from it, and what was checked is what was opened."""
    served = loaded(models).get("digits")
    saved = Artifact(str(served.folder), served.card)
    shutil.rmtree(models / "digits" / "1")
    assert saved.card["format"] == "onnx"
    assert served.session({"pixels": np.zeros((1, 1, 8, 8), np.float32)})["logits"].shape == (1, 10)


@pytest.mark.parametrize("form", ["pt2", "openvino", "coded"])
def test_every_format_is_served_and_answers_like_onnx(
    shared_store: Store, artifacts: dict[str, Path], tmp_path: Path, example: np.ndarray, form: str
) -> None:
    folder = Path(carry_out(small_job(format={"use": form}), shared_store).folder) / "artifact"
    repository.add(folder, tmp_path / "models", name="digits")
    served = loaded(tmp_path / "models").get("digits")
    expected = artifact.open_session(artifact.read(artifacts["digits"]))({"pixels": example})["logits"]
    assert np.abs(served.session({"pixels": example})["logits"] - expected).max() <= 1e-5
    assert served.signature.max_batch == 64


def test_a_model_that_finds_its_ranges_while_running_shares_no_batch(shared_store: Store, tmp_path: Path) -> None:
    """The ranges are of the whole batch: with strangers in it the same request would get another answer."""
    steps = [{"use": "train", "epochs": 1}, {"use": "int8_dynamic"}]
    folder = Path(carry_out(small_job(steps=steps), shared_store).folder) / "artifact"
    repository.add(folder, tmp_path / "models", name="digits")
    served = loaded(tmp_path / "models").get("digits")
    assert served.signature.max_batch == 64 and served.batcher.largest == 0
