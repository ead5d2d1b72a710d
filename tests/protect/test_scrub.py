"""A scrubbed artifact tells nothing of its making and still computes the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.conftest import small_job
from tests.protect.made import answer, copied, flip, told
from workbench import artifact
from workbench.bench import carry_out
from workbench.errors import ArtifactError
from workbench.protect import load
from workbench.protect.scrub import _own_words, scrub
from workbench.store import Store, write_json

SECRET = "/home/tell_tale/project"


@pytest.fixture(autouse=True)
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose name does not stand in every file by chance."""
    monkeypatch.setenv("LOGNAME", "some_tester")


@pytest.fixture
def telling(onnx_folder: Path, tmp_path: Path) -> Path:
    """An artifact that tells a path wherever one can stand: card, graph, nodes, inner graphs, a file beside."""
    folder = copied(onnx_folder, tmp_path / "telling")
    model = onnx.load(folder / "model.onnx")
    model.doc_string = model.graph.node[0].doc_string = f"made in {SECRET}"
    for entry in (model, model.graph.node[0], model.graph.initializer[0]):
        entry.metadata_props.add(key="where", value=SECRET)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "notes.txt").write_text(SECRET)
    card = json.loads((folder / "card.json").read_text())
    card["data"] = {"use": "image_folder", "folder": SECRET}
    card["files"] = {name: facts for name, facts in artifact.described(folder).items() if name != "notes.txt"}
    write_json(folder / "card.json", card)
    return folder


def test_nothing_of_its_making_is_left_and_all_of_it_is_told(telling: Path, tmp_path: Path) -> None:
    done = scrub(telling, tmp_path / "scrubbed", words=("tell_tale",))
    assert done.left == ()
    for path in (tmp_path / "scrubbed").iterdir():
        assert b"tell_tale" not in path.read_bytes(), path
    removed = "; ".join(done.removed)
    for what in (
        "doc_string (2 ×)",
        "metadata where (3 ×)",
        "card.json: run_id",
        "card.json: recipe",
        "card.json: data",
        "notes.txt",
    ):
        assert what in removed, what
    assert not {"run_id", "recipe", "model", "data", "source"} & set(artifact.read(tmp_path / "scrubbed").card)


def test_it_opens_and_computes_the_same_on_the_old_probe(telling: Path, tmp_path: Path) -> None:
    scrub(telling, tmp_path / "scrubbed")
    scrubbed = artifact.read(tmp_path / "scrubbed")
    assert artifact.verify(scrubbed) == [] and load.gap_to_recorded(scrubbed) == 0.0
    np.testing.assert_array_equal(answer(scrubbed, telling), answer(artifact.read(telling), telling))


def test_the_real_examples_are_gone(telling: Path, tmp_path: Path) -> None:
    scrub(telling, tmp_path / "scrubbed")
    with np.load(telling / "probe.npz") as old, np.load(tmp_path / "scrubbed" / "probe.npz") as new:
        assert old.keys() == new.keys()
        for name in old:
            assert old[name].shape == new[name].shape and old[name].dtype == new[name].dtype
            assert not np.isclose(old[name], new[name]).all(axis=-1).any(), (
                "a row of a real example or its output is left"
            )


def test_a_word_that_it_can_not_remove_is_told(onnx_folder: Path, tmp_path: Path) -> None:
    name = onnx.load(onnx_folder / "model.onnx").graph.node[0].name or "logits"
    done = scrub(onnx_folder, tmp_path / "scrubbed", words=(name.upper(),))
    assert any(line.startswith("model.onnx: ") for line in done.left)


def test_a_user_without_a_name_can_scrub(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the user is often a number that no file of users knows."""

    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr("getpass.getuser", unknown)
    assert str(Path.cwd()) in _own_words()


def test_a_damaged_artifact_is_not_scrubbed(telling: Path, tmp_path: Path) -> None:
    flip(telling / "model.onnx", -20)
    with pytest.raises(ArtifactError) as caught:
        scrub(telling, tmp_path / "scrubbed")
    assert told(caught.value, "was changed") and not (tmp_path / "scrubbed").exists()


def test_a_transformers_folder_forgets_where_it_came_from(shared_store: Store, tmp_path: Path) -> None:
    model = {"use": "vit", "layers": 1, "width": 16, "heads": 2}
    run = carry_out(small_job(model=model, format={"use": "hugging_face"}), shared_store)
    folder = copied(Path(run.folder) / "artifact", tmp_path / "telling")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "_name_or_path": SECRET}))
    card = json.loads((folder / "card.json").read_text())
    write_json(folder / "card.json", {**card, "files": artifact.described(folder)})
    done = scrub(folder, tmp_path / "scrubbed", words=("tell_tale",))
    assert "config.json: _name_or_path" in done.removed and done.left == ()
    assert load.gap_to_recorded(artifact.read(tmp_path / "scrubbed")) < 1e-6
