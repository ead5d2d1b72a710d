"""What every model of the zoo promises: its card is true, it learns, it can be copied, it exports."""

import copy
import io
import pickle
import subprocess
import sys

import numpy as np
import pytest

from tests.zoo.cards import batch, images, text
from workbench import catalog
from workbench.zoo._describe import card_of

CASES = [
    ("lenet_300_100", {}, images()),
    ("lenet_5", {}, images(size=9, channels=3)),
    ("alexnet", {"width": 0.05}, images()),
    ("alexnet", {"width": 0.05}, images(size=33, channels=3, classes=4)),
    ("alexnet", {"width": 0.05}, images(size=99, channels=3)),
    ("small_cnn", {"width": 4}, images()),
    ("small_cnn", {"width": 3, "blocks": 2}, images(size=13, channels=3, classes=4)),
    ("resnet", {"depth": 8}, images()),
    ("resnet", {"depth": 10, "width": 4}, images(size=33, channels=3)),
    ("resnet", {"depth": 50, "width": 4}, images(size=45, channels=3)),
    ("vit", {"width": 16, "layers": 2}, images()),
    ("vit", {"width": 24, "heads": 3, "patch": 3}, images(size=12, channels=3)),
    ("tiny_lm", {"width": 16, "ffn": 24}, text()),
    ("tiny_lm", {"width": 16, "ffn": 24}, text(task="text-classification", classes=4)),
]
IDS = [f"{name}-{index}" for index, (name, _, _) in enumerate(CASES)]


def tensors(card, num=5):
    import torch

    return {name: torch.from_numpy(array) for name, array in batch(card, num).items()}


def built(name, parameters, data):
    import torch

    torch.manual_seed(0)
    part = catalog.make("zoo", {"use": name, **parameters})
    assert part.why_not(data) == []
    return part, part.build(data).eval()


@pytest.mark.parametrize("name, parameters, data", CASES, ids=IDS)
def test_the_card_tells_what_the_module_has(name, parameters, data):
    part, model = built(name, parameters, data)
    written, seen = part.card(data), card_of(model, data, name=name)
    assert written.layers == seen.layers
    assert written.outputs == seen.outputs
    assert written.num_params == sum(parameter.numel() for parameter in model.parameters())
    assert {layer.name for layer in written.layers} <= {module for module, _ in model.named_modules()}


@pytest.mark.parametrize("name, parameters, data", CASES, ids=IDS)
def test_what_may_be_pruned_is_what_a_pruner_gets(name, parameters, data):
    from workbench.train import prunable

    part, model = built(name, parameters, data)
    assert [layer.name for layer in part.card(data).layers if layer.prunable] == [each for each, _ in prunable(model)]


@pytest.mark.parametrize("name, parameters, data", CASES, ids=IDS)
def test_copies_and_pickles_predict_the_same_and_stand_alone(name, parameters, data):
    import torch

    _, model = built(name, parameters, data)
    inputs = tensors(data)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model)), torch.load(file, weights_only=False)]
    with torch.no_grad():
        before = model(**inputs)
        assert torch.equal(before, model(*inputs.values())), "by name and by position must be one"
        for parameter in model.parameters():
            parameter.zero_()
        assert all(torch.equal(before, each(**inputs)) for each in copies)


@pytest.mark.parametrize("name, parameters, data", CASES, ids=IDS)
def test_a_few_updates_lower_the_loss(name, parameters, data):
    from workbench.nouns import Examples
    from workbench.train import fit

    _, model = built(name, parameters, data)
    inputs = batch(data, num=16)
    targets = inputs.get("tokens", np.arange(16) % 2)
    if data.task == "text-classification":
        targets = np.arange(16) % 2
        inputs["tokens"][:, -3:] = targets[:, None]
    if "pixels" in inputs:
        inputs["pixels"][targets == 1] += 1
    examples, losses = Examples(inputs, targets), []
    settings = {"epochs": 25, "batch_size": 16, "learning_rate": 0.004}
    fit(model, examples, seed=0, say=lambda *_, **told: losses.append(told["values"]["loss"]), **settings)
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(
    "name, parameters, data",
    [CASES[index] for index in (2, 4, 7, 9)],  # one of each kind: an export takes seconds
)
def test_onnx_runtime_agrees_for_any_batch_size(name, parameters, data, tmp_path):
    exported_agrees(built(name, parameters, data)[1], data, tmp_path)


def exported_agrees(model, data, folder):
    """Export with two examples, run with five."""
    import onnxruntime
    import torch

    from workbench.formats._export import hushed

    inputs = tuple(tensors(data, num=2).values())
    free = tuple({0: torch.export.Dim("batch")} for _ in inputs)
    with hushed():
        program = torch.onnx.export(model, inputs, dynamic_shapes=free, dynamo=True, verbose=False)
    program.save(str(folder / "model.onnx"))
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == [spec.name for spec in data.inputs]
    with torch.no_grad():
        expected = model(**tensors(data)).numpy()
    assert np.abs(session.run(None, batch(data))[0] - expected).max() < 1e-4


def test_the_same_seed_builds_the_same_weights():
    import torch

    for name, parameters, data in CASES:
        first, second = (built(name, parameters, data)[1].state_dict() for _ in range(2))
        assert all(torch.equal(first[key], second[key]) for key in first), name


def test_cards_and_reasons_need_no_torch():
    program = """
import sys
from tests.zoo.test_zoo_models import CASES
from workbench import catalog
catalog.parts("zoo")
for name, parameters, data in CASES:
    part = catalog.make("zoo", {"use": name, **parameters})
    assert part.why_not(data) == [] and part.card(data).macs
sys.exit("torch" in sys.modules or "transformers" in sys.modules)
"""
    program = program.replace("from tests.zoo.test_zoo_models import CASES", f"CASES = {_plain()}")
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def _plain():
    """The cases as source text (the test module itself imports torch)."""
    return f"__import__('pickle').loads({pickle.dumps(CASES)!r})"


@pytest.mark.parametrize("name", ["lenet_5", "resnet", "vit", "small_cnn", "lenet_300_100"])
def test_image_models_refuse_text_and_other_inputs(name):
    part = catalog.make("zoo", name)
    assert "language-modelling" in part.why_not(text())[0]
    assert "takes one input, pixels" in part.why_not(text(task="image-classification"))[0]


@pytest.mark.parametrize(
    "name, parameters, data, reason",
    [
        ("vit", {"width": 10, "heads": 4}, images(), "not a multiple of heads"),
        ("vit", {"patch": 3}, images(), "patch=3 does not divide"),
        ("tiny_lm", {"width": 12, "heads": 4}, text(), "not a multiple of 2 × heads"),
        ("tiny_lm", {}, text(names=("tokens", "attention_mask")), "takes one input, tokens"),
        ("tiny_lm", {}, images(), "language-modelling or text-classification data"),
        ("small_cnn", {"blocks": 5}, images(), "16 × 16 or more"),
    ],
)
def test_what_cannot_be_built_is_refused_with_the_reason(name, parameters, data, reason):
    assert reason in catalog.make("zoo", {"use": name, **parameters}).why_not(data)[0]


def test_small_pictures_are_enlarged_for_a_resnet():
    """As they come, 8 × 8 pictures would end as one pixel after the second stage."""
    _, model = built("resnet", {"depth": 8}, images())
    seen = []
    model.inner.resnet.encoder.stages[-1].register_forward_hook(lambda *hooked: seen.append(hooked[2].shape[-2:]))
    model(**tensors(images()))
    assert seen == [(2, 2)]
