"""Picking a model and data: what can't be picked says why, what only a worker can see is fetched aside."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import ipywidgets
import pytest
from looking_at import find, message

from widgets import pick_model
from widgets._card_words import model_words
from widgets.pick_model import LOOKING, PickModel, refused_models
from widgets.pump import Pump
from widgets.session import Session
from workbench import catalog
from workbench.nouns import ModelCard


def opened(tmp_path: Path, **picked: Any) -> tuple[Session, Pump, PickModel]:
    session, pump = Session(tmp_path / "runs", **picked), Pump()
    panel = PickModel(session, pump)
    pump.drain()
    return session, pump, panel


def pick(pump: Pump, control: Any, name: str) -> None:
    control.menu.value = name
    pump.drain()


def type_into(pump: Pump, form: Any, name: str, value: Any) -> None:
    find(form, name, (ipywidgets.Combobox, ipywidgets.IntText)).value = value
    pump.drain()


@pytest.fixture(scope="module")
def saved_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny ResNet as transformers saves it."""
    folder = tmp_path_factory.mktemp("saved")
    return Path(catalog.get("zoo", "hugging_face").sample(folder)["checkpoint"])


@pytest.fixture
def checkpoint(tmp_path: Path, saved_checkpoint: Path) -> Path:
    """A copy that may be damaged."""
    return shutil.copytree(saved_checkpoint, tmp_path / "checkpoint")


def test_a_model_and_its_parameters_go_into_the_session(tmp_path: Path) -> None:
    session, pump, panel = opened(tmp_path)
    assert "131,080 in 4 layers" in panel.card.value and "random until they are trained" in panel.card.value
    pick(pump, panel.model, "lenet_300_100")
    assert session.model == {"use": "lenet_300_100", "hidden_1": 300, "hidden_2": 100}
    type_into(pump, panel.model.form, "hidden_1", 16)
    assert session.model["hidden_1"] == 16 and f"{session.card.num_params:,} in 3 layers" in panel.card.value


def test_what_is_picked_elsewhere_is_shown(tmp_path: Path) -> None:
    session, pump, panel = opened(tmp_path)
    session.set_job({"model": {"use": "vit", "layers": 2}, "data": {"use": "shapes", "size": 16}})
    pump.drain()
    assert (panel.model.menu.value, panel.data.menu.value) == ("vit", "shapes")
    assert find(panel.model.form, "layers", ipywidgets.IntText).value == 2
    assert "pixels 3 × 16 × 16" in panel.card.value and "made by a program" in panel.data_card.value


def test_a_model_that_can_not_take_the_data_is_listed_with_the_reason_and_refused(tmp_path: Path) -> None:
    session, pump, panel = opened(tmp_path)
    assert ("✗ Tiny language model (tiny_lm)", "tiny_lm") in panel.model.menu.options
    assert "takes language-modelling or text-classification data" in panel.refused.value
    pick(pump, panel.model, "tiny_lm")
    assert session.model["use"] == panel.model.menu.value == "lenet_5"
    assert "takes language-modelling or text-classification data" in panel.model.note.value


def test_other_data_turn_the_refusals_around(tmp_path: Path) -> None:
    session, pump, panel = opened(tmp_path)
    pick(pump, panel.data, "python_source")
    assert session.data["use"] == "python_source" and session.card is None
    assert "lenet_5 takes image-classification data" in message(panel.view) + panel.trouble.value
    assert panel.card.value == ""
    pick(pump, panel.model, "tiny_lm")
    assert session.card and panel.trouble.value == ""
    assert ("✗ LeNet-5 (lenet_5)", "lenet_5") in panel.model.menu.options


def test_what_another_parameter_would_mend_refuses_no_model() -> None:
    small = catalog.make("data", {"use": "shapes", "size": 8}).card()
    refused = refused_models(small)
    assert refused["tiny_lm"] and not refused["small_cnn"] and not refused["vit"] and not refused["hugging_face"]


def test_a_checkpoint_is_read_when_its_folder_is_typed(tmp_path: Path, checkpoint: Path) -> None:
    session, pump, panel = opened(tmp_path)
    pick(pump, panel.model, "hugging_face")
    assert "checkpoint: a value is required" in message(panel.model.form.view)
    assert panel.trouble.value == "" and session.card is None
    type_into(pump, panel.model.form, "checkpoint", str(checkpoint))
    assert session.card and session.card.library == "transformers"
    assert "worth something before any training" in panel.card.value and panel.trouble.value == ""


def test_what_is_wrong_with_a_checkpoint_is_said_and_can_be_mended(tmp_path: Path, checkpoint: Path) -> None:
    session, pump, panel = opened(tmp_path, model={"use": "hugging_face", "checkpoint": str(tmp_path / "nowhere")})
    assert "no folder" in panel.trouble.value and panel.again.layout.display != "none"
    weights = checkpoint / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    type_into(pump, panel.model.form, "checkpoint", str(checkpoint))
    assert "is cut off" in panel.trouble.value and session.card is None
    weights.write_bytes((2**60).to_bytes(8, "little") + whole[8:])
    panel.again.click()
    pump.drain()
    assert "its header claims" in panel.trouble.value
    weights.write_bytes(whole)
    panel.again.click()
    pump.drain()
    assert panel.trouble.value == "" and session.card and panel.again.layout.display == "none"


def test_a_folder_without_config_says_what_is_missing(tmp_path: Path, checkpoint: Path) -> None:
    (checkpoint / "config.json").unlink()
    _, _, panel = opened(tmp_path, model={"use": "hugging_face", "checkpoint": str(checkpoint)})
    assert "config.json is missing" in panel.trouble.value


def test_a_card_that_needs_the_module_is_fetched_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    record = {"use": "python_callable", **catalog.get("zoo", "python_callable").sample(tmp_path)}
    session, pump = Session(tmp_path / "runs", model=record), Pump()
    panel = PickModel(session, pump)
    assert LOOKING in panel.card.value and session.card is None
    pump.drain()
    assert session.card and session.card.num_params == 650 and "650 in 1 layers" in panel.card.value


def test_an_answer_that_comes_too_late_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow: list[Any] = []
    card = Session().card
    monkeypatch.setattr(pick_model, "model_card", lambda job: card)
    record = {"use": "python_callable", **catalog.get("zoo", "python_callable").sample(tmp_path)}
    session, pump = Session(tmp_path / "runs", model=record), Pump()
    monkeypatch.setattr(pump, "later", lambda work, then: slow.append((work, then)))
    panel = PickModel(session, pump)
    pump.drain()
    assert len(slow) == 1
    session.model = {"use": "vit"}
    pump.drain()
    (work, then) = slow[0]
    then(work())
    pump.drain()
    assert session.card is not card and session.card.name == "vit" and LOOKING not in panel.card.value


def test_a_model_that_fails_to_build_says_so_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "broken.py").write_text("def model():\n    return 3\n")
    record = {"use": "python_callable", "function": f"{tmp_path / 'broken.py'}:model"}
    session, pump, panel = opened(tmp_path, model=record)
    assert "returned int" in panel.trouble.value and session.card is None
    monkeypatch.setattr(pump, "later", lambda *_: pytest.fail("asked again"))
    session.data = {**session.data, "split_seed": session.data["split_seed"]}
    panel.update()


def test_data_that_can_not_be_read_say_so(tmp_path: Path) -> None:
    session, pump, panel = opened(tmp_path)
    pick(pump, panel.data, "image_folder")
    assert "folder: a value is required" in message(panel.data.form.view) and panel.data_trouble.value == ""
    type_into(pump, panel.data.form, "folder", str(tmp_path / "no pictures"))
    assert "no pictures" in panel.data_trouble.value and panel.data_card.value == ""


def test_what_a_card_says_is_text() -> None:
    card = ModelCard("m", "unlabelled", (), (), (), 0, licence="<script>", notes=("<b>",))
    assert "<script>" not in model_words(card) and "&lt;b&gt;" in model_words(card)


def test_a_session_with_both_panels_leaves_torch_alone(tmp_path: Path) -> None:
    code = (
        "import sys; from widgets.session import Session; from widgets.pump import Pump\n"
        "from widgets.pick_model import PickModel; from widgets.build_recipe import BuildRecipe\n"
        f"session, pump = Session({json.dumps(str(tmp_path))}), Pump()\n"
        "panels = PickModel(session, pump), BuildRecipe(session, pump); pump.drain()\n"
        "assert 'torch' not in sys.modules and 'plotly' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
