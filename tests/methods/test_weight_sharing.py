"""Weights share a few values, and training moves those values by the sum of their weights' gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.methods._context import card_of, context, images, perceptron
from workbench.compress import _codebook
from workbench.compress.weight_sharing import WeightSharing
from workbench.errors import InvalidInput, WorkbenchError
from workbench.params import build


def values_of(module: torch.nn.Module) -> np.ndarray:
    found = np.unique(module.weight.detach().numpy())  # type: ignore[operator, union-attr]
    return found[found != 0]


@pytest.mark.parametrize("start", ["linear", "density", "kmeans++"])
@pytest.mark.parametrize("epochs", [0, 3])
def test_each_layer_holds_at_most_its_clusters(start: str, epochs: int) -> None:
    model = perceptron()
    step = WeightSharing(clusters=4, per_layer={"fc2": 7}, start=start, epochs=epochs)  # type: ignore[arg-type]
    assert step.run(model, context()) is model
    assert len(values_of(model.fc1)) <= 4 and len(values_of(model.fc3)) <= 4
    assert 4 < len(values_of(model.fc2)) <= 7


def test_pruned_weights_stay_zero_and_are_no_cluster() -> None:
    model = perceptron()
    zero = torch.rand(model.fc2.weight.shape) < 0.7
    model.fc2.weight.data.masked_fill_(zero, 0.0)
    WeightSharing(clusters=3, epochs=3).run(model, context())
    assert not model.fc2.weight[zero].any()
    assert bool((model.fc2.weight[~zero] != 0).all())
    assert len(values_of(model.fc2)) == 3


def test_a_dead_layer_stays_dead() -> None:
    model = perceptron()
    model.fc2.weight.data.zero_()
    WeightSharing(clusters=2, epochs=1).run(model, context())
    assert not model.fc2.weight.any()


def test_a_centroids_gradient_is_the_sum_of_its_weights_gradients() -> None:
    """Equation 3 of the paper."""
    torch.manual_seed(0)
    layer, inputs = torch.nn.Linear(8, 6), torch.randn(5, 8)
    layer.weight.data[0] = 0
    _codebook.share(layer, 3, "linear", 0)
    shared = layer.parametrizations.weight[0]  # type: ignore[index, union-attr]
    alone = torch.nn.Linear(8, 6)
    alone.weight.data, alone.bias.data = layer.weight.detach().clone(), layer.bias.detach().clone()
    for each in (layer, alone):
        each(inputs).square().sum().backward()
    sums = [alone.weight.grad[shared.index == i + 1].sum() for i in range(3)]  # type: ignore[index]
    original = layer.parametrizations.weight.original  # type: ignore[union-attr]
    assert torch.allclose(original.grad, torch.stack(sums), rtol=1e-4)


@pytest.mark.parametrize("start", ["linear", "density", "kmeans++"])
def test_centroids_are_means_of_the_nearest_values(start: str) -> None:
    values = np.random.default_rng(0).normal(size=2000)
    centroids, own = _codebook.kmeans(values, 8, start, seed=0)
    assert np.array_equal(own, np.abs(values[:, None] - centroids).argmin(axis=1))
    assert np.allclose(centroids, [values[own == i].mean() for i in range(len(centroids))])


def test_clusters_that_stand_apart_are_found() -> None:
    random = np.random.default_rng(0)
    values = np.concatenate([centre + random.normal(scale=0.01, size=50) for centre in (-2.0, 0.5, 1.0, 4.0)])
    for start in ("linear", "kmeans++"):
        centroids, _ = _codebook.kmeans(values, 4, start, seed=0)
        assert len(centroids) in (3, 4)
    assert np.allclose(_codebook.kmeans(values, 4, "density", seed=0)[0], [-2, 0.5, 1, 4], atol=0.01)


def test_training_the_centroids_lowers_the_loss() -> None:
    losses = []
    for epochs in (0, 60):
        ctx, model = context(), perceptron()
        WeightSharing(clusters=4, epochs=epochs, learning_rate=0.03).run(model, ctx)
        train = ctx.data.train
        outputs = model(torch.from_numpy(train.inputs["pixels"])).detach()
        losses.append(float(torch.nn.functional.cross_entropy(outputs, torch.from_numpy(train.targets))))
    assert losses[1] < 0.7 * losses[0]


def test_weights_are_ordinary_parameters_afterwards() -> None:
    model = perceptron()
    names = list(dict(model.named_parameters()))
    WeightSharing(epochs=1).run(model, context())
    assert sorted(dict(model.named_parameters())) == sorted(names)
    assert type(model.fc1) is torch.nn.Linear
    assert model.fc1.weight.grad is None


def test_layers_are_recorded_and_skipped_ones_are_not() -> None:
    ctx, model, before = context(), perceptron(), perceptron()
    step = WeightSharing(clusters=4, per_layer={"fc3": 2}, epochs=0, skip=["fc1"])
    step.run(model, ctx)
    assert {name: (how.scheme, how.weights) for name, how in ctx.quantization.items()} == {
        "fc2": ("codebook", "codebook4"), "fc3": ("codebook", "codebook2")
    }  # fmt: skip
    assert torch.equal(model.fc1.weight, before.fc1.weight)
    after = step.preview(card_of(perceptron()))
    assert [layer.precision for layer in after.layers] == ["float32", "codebook4", "codebook2"]
    assert any("already codebook" in reason for reason in step.why_not(after))


def test_convolutions_share_too() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 3))
    ctx = context(images())
    WeightSharing(clusters=5, epochs=0).run(model, ctx)
    assert len(values_of(model[0])) <= 5 and list(ctx.quantization) == ["0", "2"]


def test_sharing_what_is_shared_already_is_refused() -> None:
    model = perceptron()
    WeightSharing(clusters=4, epochs=0).run(model, context())
    with pytest.raises(WorkbenchError, match="moved no weight.*fewer clusters"):
        WeightSharing(clusters=4, epochs=0).run(model, context())


def test_weights_that_are_no_numbers_are_refused_by_layer() -> None:
    model = perceptron()
    model.fc2.weight.data[0, 0] = float("nan")
    with pytest.raises(WorkbenchError, match="weights of fc2 are NaN"):
        WeightSharing().run(model, context())


def test_layers_that_do_not_exist_and_clusters_out_of_range_are_told() -> None:
    assert any(
        "did you mean 'fc1'" in reason for reason in WeightSharing(per_layer={"fc11": 4}).why_not(card_of(perceptron()))
    )
    for wrong in (1, 257):
        with pytest.raises(InvalidInput, match="per_layer"):
            build(WeightSharing, {"per_layer": {"fc1": wrong}})
