"""Pruning that ranks layers against each other, learns from the model before it, and drops what nothing depends on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.methods._context import card_of, context, perceptron
from workbench.compress import _unused, _zeros
from workbench.compress.magnitude_prune import MagnitudePrune
from workbench.compress.weight_sharing import WeightSharing

LAYERS = ["fc1", "fc2", "fc3"]


def answers(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.from_numpy(context().data.train.inputs["pixels"]))


def test_lamp_is_a_square_over_the_squares_that_are_not_smaller() -> None:
    """By hand: squares 4, 1, 9 give 4 / (4 + 9), 1 / (1 + 4 + 9), 9 / 9."""
    scores = _zeros.lamp(torch.tensor([[2.0, -1.0, 3.0]]))
    assert scores.tolist() == [pytest.approx([4 / 13, 1 / 14, 1.0])]


def test_lamp_prunes_layers_of_any_scale_and_empties_none() -> None:
    plain, scaled = perceptron(), perceptron()
    scaled.fc2.weight.data *= 1000
    scaled.fc3.weight.data /= 1000
    for model in (plain, scaled):
        MagnitudePrune(sparsity=0.98, scope="lamp").run(model, context())
    for layer in LAYERS:
        kept = [model.get_submodule(layer).weight != 0 for model in (plain, scaled)]
        assert torch.equal(*kept) and bool(kept[0].any())
    assert sum(int((plain.get_submodule(layer).weight == 0).sum()) for layer in LAYERS) == int(0.98 * 432)


def test_clearing_what_is_unused_changes_no_answer_on_train() -> None:
    model = perceptron()
    with torch.no_grad():
        model.fc2.weight[:, 3] = 0  # nothing reads unit 3 of the first layer
        model.fc2.bias[5] = -1e3  # unit 5 of the second never answers
    before = answers(model)
    num_cleared = _unused.clear(model, LAYERS, context())
    assert torch.equal(answers(model), before)
    assert not model.fc1.weight[3].any() and model.fc1.bias[3] == 0
    assert not model.fc2.weight[5].any() and model.fc2.bias[5] == 0 and not model.fc3.weight[:, 5].any()
    assert num_cleared >= 8 + 1 + 15 + 1 + 3
    assert _unused.clear(model, LAYERS, context()) == 0


def test_a_model_that_is_sure_of_every_answer_loses_nothing() -> None:
    """Its loss is flat, so gradients of the loss are zero everywhere."""
    model = perceptron()
    with torch.no_grad():
        model.fc3.weight.mul_(1e4)
    used = [int((model.get_submodule(layer).weight != 0).sum()) for layer in LAYERS]
    _unused.clear(model, LAYERS, context())
    left = [int((model.get_submodule(layer).weight != 0).sum()) for layer in LAYERS]
    assert sum(left) > 0.7 * sum(used) and left[2] > 0.7 * used[2]


def test_skipped_layers_keep_what_is_unused() -> None:
    model = perceptron()
    model.fc2.weight.data[:, 3] = 0
    before = model.fc1.weight.detach().clone()
    MagnitudePrune(sparsity=0.6, drop_unused=True, skip=["fc1"]).run(model, context())
    assert torch.equal(model.fc1.weight, before)


def test_dropping_leaves_no_unit_without_a_reader() -> None:
    found = {}
    for drop in (False, True):
        model = perceptron()
        MagnitudePrune(sparsity=0.9, scope="lamp", drop_unused=drop).run(model, context())
        read = (model.fc2.weight != 0).any(0), (model.fc3.weight != 0).any(0)
        found[drop] = int((model.fc1.weight[~read[0]] != 0).sum()) + int((model.fc2.weight[~read[1]] != 0).sum())
    assert found[False] > 0 and found[True] == 0


@pytest.mark.parametrize(
    "step",
    [
        MagnitudePrune(sparsity=0.7, rounds=2, epochs_between=1, taught=True),
        WeightSharing(epochs=1, clusters=4, taught=True),
    ],
)
def test_what_is_taught_learns_from_the_model_as_it_was_before(step: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the weights of the teacher only the labels pull: the loss is alpha times cross-entropy."""
    ctx, losses = context(), []
    monkeypatch.setattr(ctx, "train", lambda model, **options: losses.append(options.get("loss")))
    step.run(perceptron(), ctx)
    (loss,) = losses
    inputs = {"pixels": torch.from_numpy(ctx.data.train.inputs["pixels"])}
    targets = torch.from_numpy(ctx.data.train.targets)
    teacher = perceptron()
    hard = torch.nn.functional.cross_entropy(teacher(**inputs), targets)
    assert float(loss(teacher, inputs, targets)) == pytest.approx(0.5 * float(hard), rel=1e-5)
    assert float(loss(perceptron(seed=1), inputs, targets)) > 0.5 * float(hard)


def test_taught_without_training_is_refused() -> None:
    card = card_of(perceptron())
    assert any("raise rounds" in reason for reason in MagnitudePrune(taught=True).why_not(card))
    assert any("epochs=0" in reason for reason in WeightSharing(taught=True, epochs=0).why_not(card))
    unlabelled = card_of(perceptron(), task="unlabelled")
    for step in (MagnitudePrune(taught=True, rounds=2), WeightSharing(taught=True)):
        assert any("no labels" in reason or "labels too" in reason for reason in step.why_not(unlabelled))


@pytest.mark.parametrize("epochs", [0, 2])
def test_biases_share_values_too_and_zeros_stay(epochs: int) -> None:
    model = perceptron()
    model.fc1.bias.data[:4] = 0
    own = len(np.unique(model.fc2.bias.detach().numpy()))
    WeightSharing(clusters=4, biases=3, epochs=epochs).run(model, context())
    for layer in LAYERS:
        values = np.unique(model.get_submodule(layer).bias.detach().numpy())
        assert len(values[values != 0]) <= 3
    assert own > 3 and not model.fc1.bias[:4].any()
    assert sorted(name for name, _ in model.named_parameters()) == sorted(
        name for name, _ in perceptron().named_parameters()
    )
