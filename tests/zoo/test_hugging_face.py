"""Checkpoints that transformers saved: loaded bit for bit, described without torch, refused with reasons."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.zoo import checkpoints
from tests.zoo.cards import batch, images, text
from tests.zoo.test_zoo_models import exported_agrees, tensors
from workbench import catalog
from workbench.errors import InvalidInput, WorkbenchError
from workbench.zoo._describe import card_of

CLASSIFY = text(task="text-classification", classes=3)
MASKED = text(task="text-classification", classes=3, names=("tokens", "attention_mask"))
BOTH_SIDES = text(names=("tokens", "decoder_input_ids"))

FIVE = [
    (checkpoints.bert, CLASSIFY),
    (checkpoints.vit, images()),
    (checkpoints.resnet, images()),
    (checkpoints.gpt2, text()),
    (checkpoints.llama, text()),
]
OTHERS = [
    (checkpoints.bert, MASKED),
    (checkpoints.t5, BOTH_SIDES),
    (lambda: checkpoints.llama(tie_word_embeddings=True), text()),
    (lambda: checkpoints.resnet(layer_type="bottleneck", downsample_in_first_stage=True), images(size=37)),
    (lambda: checkpoints.resnet(layer_type="bottleneck", downsample_in_bottleneck=True), images(size=37)),
]
NEW_HEADS = [
    (checkpoints.bert, text(task="text-classification", classes=5)),
    (checkpoints.vit, images(classes=4)),
    (checkpoints.resnet, images(classes=4)),
    (checkpoints.gpt2, CLASSIFY),
    (checkpoints.llama, CLASSIFY),
]


def part(folder):
    return catalog.make("zoo", {"use": "hugging_face", "checkpoint": str(folder)})


@pytest.mark.parametrize("make, data", FIVE + OTHERS)
def test_a_saved_model_predicts_as_it_did_before(make, data, tmp_path):
    import torch

    original = make()
    model = part(checkpoints.saved(original, tmp_path)).build(data).eval()
    names = {"pixels": "pixel_values", "tokens": "input_ids"}
    inputs = tensors(data)
    theirs = {names.get(name, name): tensor for name, tensor in inputs.items()}
    if data.inputs[0].name == "pixels" and original.config.model_type == "resnet" and data.inputs[0].shape[2] < 32:
        theirs["pixel_values"] = torch.nn.functional.interpolate(inputs["pixels"], (32, 32), mode="bilinear")
    with torch.no_grad():
        assert torch.allclose(model(**inputs), original(**theirs).logits, atol=1e-5)


@pytest.mark.parametrize("make, data", FIVE + OTHERS + NEW_HEADS)
def test_the_card_tells_what_the_module_has(make, data, tmp_path):
    model = part(checkpoints.saved(make(), tmp_path))
    assert model.why_not(data) == []
    written, module = model.card(data), model.build(data)
    seen = card_of(module, data, name="hugging_face")
    assert {layer.name: layer for layer in written.layers} == {layer.name: layer for layer in seen.layers}
    assert written.outputs == seen.outputs
    assert written.num_params == sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("make, data", FIVE)
def test_onnx_runtime_agrees_for_any_batch_size(make, data, tmp_path):
    exported_agrees(part(checkpoints.saved(make(), tmp_path)).build(data).eval(), data, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("make, data", [*OTHERS[:2], *NEW_HEADS[3:]])
def test_onnx_runtime_agrees_with_several_inputs_and_new_heads(make, data, tmp_path):
    exported_agrees(part(checkpoints.saved(make(), tmp_path)).build(data).eval(), data, tmp_path)


def test_looking_at_a_checkpoint_needs_no_torch(tmp_path):
    for index, (make, _) in enumerate(FIVE):
        checkpoints.saved(make(), tmp_path / str(index))
    program = f"""
import pickle, sys
from workbench import catalog
for index, data in enumerate(pickle.loads({__import__("pickle").dumps([data for _, data in FIVE])!r})):
    part = catalog.make("zoo", {{"use": "hugging_face", "checkpoint": {str(tmp_path)!r} + "/" + str(index)}})
    assert part.why_not(data) == [] and not part.card_needs_module and part.card(data).macs
sys.exit("torch" in sys.modules or "transformers" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_a_checkpoint_in_several_files_is_read_whole(tmp_path):
    model = checkpoints.llama()
    folder = Path(checkpoints.saved(model, tmp_path, max_shard_size="20KB"))
    assert len(list(folder.glob("*.safetensors"))) > 1
    assert part(folder).card(text()).num_params == model.num_parameters()
    next(folder.glob("*.safetensors")).unlink()
    assert "which its index names" in part(folder).why_not(text())[0]


def test_a_tied_output_layer_is_counted_once_and_left_alone(tmp_path):
    from workbench.train import prunable

    model = part(checkpoints.saved(checkpoints.gpt2(), tmp_path))
    card = model.card(text())
    head = next(layer for layer in card.layers if layer.name == "inner.lm_head")
    assert head.num_params == 0 and not head.prunable
    assert {name for name, _ in prunable(model.build(text()))} == {
        layer.name for layer in card.layers if layer.prunable
    }


def test_normalisation_and_colour_are_the_checkpoints_own(tmp_path):
    import torch

    original = checkpoints.vit(channels=3, size=12)
    folder = Path(checkpoints.saved(original, tmp_path))
    said = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4], "do_normalize": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    grey = tensors(images(size=8))["pixels"]
    mean, deviation = (torch.tensor(said[name]).view(1, 3, 1, 1) for name in ("image_mean", "image_std"))
    large = torch.nn.functional.interpolate(grey.expand(-1, 3, -1, -1), (12, 12), mode="bilinear")
    with torch.no_grad():
        expected = original((large - mean) / deviation).logits
        assert torch.allclose(part(folder).build(images(size=8)).eval()(grey), expected, atol=1e-6)


def test_a_new_head_is_said_and_takes_the_labels_of_the_data(tmp_path):
    model = part(checkpoints.saved(checkpoints.resnet(classes=7), tmp_path))
    assert "new last layer for 10 classes" in model.card(images()).notes[0]
    assert model.build(images()).inner.config.num_labels == 10


def test_pickled_weights_are_refused(tmp_path):
    folder = Path(checkpoints.saved(checkpoints.bert(), tmp_path))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    reasons = part(folder).why_not(CLASSIFY)
    assert "pytorch_model.bin" in reasons[0] and "pickles" in reasons[0]
    with pytest.raises(InvalidInput):
        part(folder).build(CLASSIFY)


def test_code_that_comes_with_a_checkpoint_is_never_run(tmp_path):
    folder = Path(checkpoints.saved(checkpoints.bert(), tmp_path))
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "foreign", "auto_map": {"AutoModelForSequenceClassification": "code.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Model: pass\n")
    assert part(folder).card_needs_module
    with pytest.raises(WorkbenchError, match="can't load"):
        part(folder).build(CLASSIFY)
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_model_are_refused(tmp_path):
    folder = Path(checkpoints.saved(checkpoints.bert(), tmp_path))
    checkpoints.saved(checkpoints.llama(), tmp_path / "other")
    (tmp_path / "other" / "model.safetensors").replace(folder / "model.safetensors")
    with pytest.raises(WorkbenchError, match="lacks most weights"):
        part(folder).build(CLASSIFY)


@pytest.mark.parametrize("damage", ["cut", "noise", "empty"])
def test_a_damaged_file_is_named_before_anything_is_loaded(tmp_path, damage):
    file = Path(checkpoints.saved(checkpoints.bert(), tmp_path)) / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes({"cut": whole[:-100], "noise": b"\xff" * 100, "empty": b""}[damage])
    (reason,) = part(tmp_path).why_not(CLASSIFY)
    assert "model.safetensors" in reason and ("damaged" in reason or "cut off" in reason)


@pytest.mark.parametrize(
    "make, data, reason",
    [
        (checkpoints.bert, images(), "serves text-classification"),
        (checkpoints.bert, text(), "serves text-classification"),
        (checkpoints.vit, text(), "serves image-classification"),
        (checkpoints.resnet, images(channels=3), "takes 1 channel"),
        (checkpoints.gpt2, text(length=40), "at most 32 tokens"),
        (checkpoints.llama, text(classes=300), "knows 256 tokens"),
        (checkpoints.t5, text(), "decoder_input_ids"),
    ],
)
def test_data_that_do_not_fit_are_refused_with_the_reason(make, data, reason, tmp_path):
    assert reason in part(checkpoints.saved(make(), tmp_path)).why_not(data)[0]


def test_a_folder_that_is_none_is_explained(tmp_path):
    assert "config.json is missing" in part(tmp_path).why_not(CLASSIFY)[0]
    assert "no id on the hub" in part("not/a/folder").why_not(CLASSIFY)[0]


def test_an_input_that_the_model_lacks_is_named(tmp_path):
    data = text(task="text-classification", classes=3, names=("tokens", "weather"))
    with pytest.raises(WorkbenchError, match="no input called weather"):
        part(checkpoints.saved(checkpoints.bert(), tmp_path)).build(data)


def test_an_older_checkpoint_whose_names_tell_nothing_is_described_from_the_module(tmp_path):
    """Files of the first GPT-2 lack the prefix that the class has."""
    from safetensors.torch import load_file, save_file

    folder = Path(checkpoints.saved(checkpoints.gpt2(), tmp_path))
    file = folder / "model.safetensors"
    stored = {name.removeprefix("transformer."): tensor for name, tensor in load_file(file).items()}
    save_file(stored, file, metadata={"format": "pt"})
    model = part(folder)
    assert model.card_needs_module
    assert "inner.transformer.h.0.attn.c_attn" in {layer.name for layer in model.card(text()).layers}


def test_an_edited_folder_is_read_anew(tmp_path):
    folder = checkpoints.saved(checkpoints.bert(classes=3), tmp_path)
    before = part(folder).card(CLASSIFY)
    checkpoints.saved(checkpoints.bert(classes=4), tmp_path)
    assert (before.notes, len(part(folder).card(CLASSIFY).notes)) == ((), 1)


@pytest.mark.slow
def test_an_id_is_found_in_the_hubs_cache_without_a_network(tmp_path):
    snapshot = tmp_path / "hub" / "models--someone--tiny" / "snapshots" / "0123abc"
    checkpoints.saved(checkpoints.bert(), snapshot)
    (snapshot / "README.md").write_text("---\nlicense: mit\n---\n")
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0123abc")
    program = f"""
import pickle
from workbench import catalog
data = pickle.loads({__import__("pickle").dumps(CLASSIFY)!r})
part = catalog.make("zoo", {{"use": "hugging_face", "source": "someone/tiny"}})
assert part.why_not(data) == [] and part.card(data).licence == "mit"
assert part.build(data).inner.config.num_labels == 3
missing = catalog.make("zoo", {{"use": "hugging_face", "source": "someone/else"}}).why_not(data)
assert "the hub gave nothing" in missing[0], missing
"""
    environment = {"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin"}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_predictions_do_not_depend_on_what_else_is_in_the_batch(tmp_path):
    import torch

    model = part(checkpoints.saved(checkpoints.llama(), tmp_path)).build(CLASSIFY).eval()
    tokens = torch.from_numpy(batch(CLASSIFY)["tokens"])
    with torch.no_grad():
        assert np.allclose(model(tokens)[:2], model(tokens[:2]), atol=1e-5)
