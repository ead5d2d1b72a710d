"""A person's own models: from a file, from a notebook cell, from an exported program."""

import copy
import pickle
import subprocess
import sys
import textwrap

import pytest

from tests.zoo.cards import images, text
from tests.zoo.test_zoo_models import exported_agrees, tensors
from workbench import catalog
from workbench.adopt import adopt
from workbench.errors import ArtifactError, InvalidInput, WorkbenchError
from workbench.train import prunable

OWN = """
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.conv = nn.Conv2d(1, width, 3, padding=1)
            self.norm = nn.BatchNorm2d(width)
            self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(width * 64, 10))
        def forward(self, x):
            return self.head(self.norm(self.conv(x)).relu())

    def made(width=4):
        return Net(width)

    def made_for(data):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, data.num_classes))

    class Loose(nn.Linear):
        def forward(self, x):
            return {"logits": super().forward(x.flatten(1)), "hidden": x}

    def loose():
        return Loose(64, 10)

    def nothing():
        return 7

    def too_small():
        return nn.Linear(3, 10)
"""


def own(folder, function="made", **parameters):
    (folder / "own.py").write_text(textwrap.dedent(OWN))
    return catalog.make("zoo", {"use": "python_callable", "function": f"{folder / 'own.py'}:{function}", **parameters})


def test_an_own_model_takes_options_and_the_data_card(tmp_path):
    assert own(tmp_path, options={"width": 6}).build(images()).inner.conv.out_channels == 6
    assert own(tmp_path, "made_for").build(images(classes=3)).inner[1].out_features == 3


def test_its_card_is_read_off_the_module(tmp_path):
    card = own(tmp_path).card(images())
    by_name = {layer.name: layer for layer in card.layers}
    assert by_name["inner.conv"].macs == 64 * 4 * 9 and by_name["inner.head.2"].macs == 2560
    assert card.num_params == 4 * 10 + 8 + 2570 and card.outputs[0].shape == ("batch", 10)


def test_an_output_that_is_no_tensor_is_reduced_to_its_logits(tmp_path):
    model = own(tmp_path, "loose").build(images())
    assert model(**tensors(images())).shape == (5, 10)


def test_it_exports_with_the_names_of_the_data(tmp_path):
    exported_agrees(own(tmp_path).build(images()).eval(), images(), tmp_path)


def test_a_pickled_own_model_opens_in_a_process_that_never_saw_its_file(tmp_path):
    (tmp_path / "state").write_bytes(pickle.dumps(own(tmp_path).build(images())))
    program = f"import pickle; print(pickle.load(open({str(tmp_path / 'state')!r}, 'rb')).inner.conv.out_channels)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "4"


@pytest.mark.parametrize(
    "function, options, complaint",
    [
        ("nothing", {}, "returned int"),
        ("made", {"wide": 3}, "can't be called with"),
        ("too_small", {}, "can't take"),
    ],
)
def test_what_is_no_fitting_model_is_refused_with_the_reason(function, options, complaint, tmp_path):
    with pytest.raises(WorkbenchError, match=complaint):
        own(tmp_path, function, options=options).card(images())


def test_an_own_model_counts_as_trained_only_when_it_says_so(tmp_path):
    assert not own(tmp_path).pretrained and own(tmp_path, trained=True).card(images()).pretrained


def adopted(folder, model, example, **options):
    return catalog.make("zoo", adopt(model, example, folder=folder, **options))


def test_an_adopted_model_predicts_what_it_did_in_the_notebook(tmp_path):
    import torch

    model, inputs = own(tmp_path).build(images()).inner, tensors(images())
    taken_in = adopted(tmp_path, model.train(), inputs["pixels"]).build(images())
    assert model.training, "the person's model is left as it was"
    with torch.no_grad():
        assert torch.allclose(taken_in(**inputs), model.eval()(inputs["pixels"]), atol=1e-6)


def test_the_file_is_named_after_the_model_and_not_after_the_example(tmp_path):
    import torch

    model = own(tmp_path).build(images()).inner
    first, second = (adopt(model, torch.rand(num, 1, 8, 8), folder=tmp_path) for num in (3, 7))
    with torch.no_grad():
        model.conv.weight += 1
    assert first == second != adopt(model, torch.rand(3, 1, 8, 8), folder=tmp_path)


def test_layers_of_an_adopted_model_can_be_pruned_trained_and_copied(tmp_path):
    import torch

    from workbench.nouns import Examples
    from workbench.train import fit

    inputs = tensors(images(), num=16)
    part = adopted(tmp_path, own(tmp_path).build(images()).inner, inputs["pixels"])
    model = part.build(images())
    names = [name for name, _ in prunable(model)]
    assert (
        names
        == [layer.name for layer in part.card(images()).layers if layer.prunable]
        == ["inner.conv", "inner.head.2"]
    )
    with torch.no_grad():
        model.get_submodule("inner.conv").weight[0] = 0
    fit(
        model,
        Examples({"pixels": inputs["pixels"].numpy()}, torch.arange(16).numpy() % 2),
        seed=0,
        say=lambda *_, **__: None,
    )
    for same in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert not same.get_submodule("inner.conv").weight[0].any() and same.get_submodule("inner.conv").weight[1].all()
    exported_agrees(model, images(), tmp_path)


def test_a_language_model_can_be_adopted(tmp_path):
    import torch

    from tests.zoo import checkpoints

    model = checkpoints.llama(use_cache=False).eval()
    tokens = tensors(text())["tokens"]
    part = adopted(tmp_path, model, {"tokens": tokens})
    with torch.no_grad():
        assert torch.allclose(part.build(text())(tokens=tokens), model(tokens).logits, atol=1e-5)
    assert part.card(text()).outputs[0].shape == ("batch", 12, 256)


def test_a_changed_file_is_refused(tmp_path):
    import torch

    part = adopted(tmp_path, own(tmp_path).build(images()).inner, torch.rand(2, 1, 8, 8))
    other = adopt(own(tmp_path, options={"width": 5}).build(images()).inner, torch.rand(2, 1, 8, 8), folder=tmp_path)
    (tmp_path / other["path"]).replace(part.path)
    with pytest.raises(ArtifactError, match="not the file that was adopted"):
        part.build(images())


def test_a_file_that_is_no_program_is_refused(tmp_path):
    (tmp_path / "x.pt2").write_bytes(b"nothing")
    part = catalog.make("zoo", {"use": "exported", "path": str(tmp_path / "x.pt2")})
    with pytest.raises(ArtifactError, match="can't be opened"):
        part.build(images())
    missing = catalog.make("zoo", {"use": "exported", "path": "nowhere.pt2"})
    assert "no file" in missing.why_not(images())[0]


def test_what_cannot_be_adopted_is_refused_with_the_reason(tmp_path):
    import torch

    class Deciding(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else x

    with pytest.raises(InvalidInput, match="batch of two or more"):
        adopt(torch.nn.Linear(8, 2), torch.rand(1, 8), folder=tmp_path)
    with pytest.raises(WorkbenchError, match="can't trace"):
        adopt(Deciding(8, 2), torch.rand(2, 8), folder=tmp_path)


def test_the_macs_of_a_recurrent_layer_are_said_to_be_unknown():
    import torch

    from workbench.zoo._describe import card_of

    class Recurrent(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cells = torch.nn.LSTM(8, 6, batch_first=True)
            self.head = torch.nn.Linear(6, 10)

        def forward(self, pixels):
            return self.head(self.cells(pixels[:, 0])[0][:, -1])

    card = card_of(Recurrent(), images(), name="recurrent")
    assert card.macs is None
    assert {layer.name: layer.macs for layer in card.layers} == {"cells": None, "head": 60}


@pytest.mark.parametrize("name", ["python_callable", "exported", "hugging_face"])
def test_the_sample_of_each_part_works(name, tmp_path):
    part = catalog.make("zoo", {"use": name, **catalog.get("zoo", name).sample(tmp_path)})
    assert part.why_not(images()) == []
    assert part.card(images()).outputs[0].shape == ("batch", 10)
