"""Weights of two and three values, and inputs that are signs: what the papers claim, and what the layers compute."""

from __future__ import annotations

import pickle
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.methods._context import card_of, context, perceptron
from tests.methods._layers import Convolutional, made
from tests.methods._skewed import accuracy, even, in_torch, stepped
from workbench.compress import _signs
from workbench.compress.binary import Binary
from workbench.compress.ternary import Ternary
from workbench.errors import WorkbenchError
from workbench.nouns import Quantization
from workbench.part import Step

INNER = "blocks.1.conv"  # the one layer between the first and the last


@cache
def trained(kind: str) -> tuple[nn.Module, dict[str, Quantization]]:
    return stepped(steps()[kind], on=even)


def steps() -> dict[str, Step]:
    pace: dict[str, Any] = {"learning_rate": 1e-2, "epochs": 12}
    return {"ternary": Ternary(**pace), "binary": Binary(**pace), "xnor": Binary(inputs="signs", **pace)}


def drawn() -> torch.Tensor:
    return torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0))


def squared_error(scale: torch.Tensor, signs: torch.Tensor) -> torch.Tensor:
    return (drawn() - scale * signs).square().sum((1, 2, 3))


def test_binary_weights_cost_little_and_signed_inputs_cost_more() -> None:
    """XNOR-Net, table 3: BWN keeps the accuracy of float weights, XNOR-Net does not."""
    float_, ternary, binary, xnor = (
        accuracy(in_torch(model)) for model in (even(), *(trained(kind)[0] for kind in ("ternary", "binary", "xnor")))
    )
    assert ternary > float_ - 0.02 and binary > float_ - 0.02, (float_, ternary, binary)
    assert binary > xnor > 0.7, (binary, xnor)


def test_alpha_is_the_best_scale_of_the_signs() -> None:
    """Eq. 6: the mean size of a filter's weights; any other scale has more squared error."""
    rounded = _signs.Binary()(drawn())
    alpha = drawn().abs().mean((1, 2, 3), keepdim=True)
    assert torch.allclose(rounded, alpha * drawn().sign())
    for factor in (0.9, 1.1):
        assert (squared_error(alpha, drawn().sign()) < squared_error(factor * alpha, drawn().sign())).all()


@pytest.mark.parametrize("per_channel", [False, True])
def test_the_threshold_is_nearly_the_best_one(per_channel: bool) -> None:
    """TWN's approximation of eq. 6, for weights that are normally distributed."""
    weight = torch.randn(8, 400, generator=torch.Generator().manual_seed(0))
    found = float((_signs.Ternary(per_channel=per_channel)(weight) - weight).square().sum())
    errors = []
    for threshold in np.linspace(0.05, 2.5, 100):
        large = weight.abs() > threshold
        errors.append(float((weight - weight.sign() * large * weight.abs()[large].mean()).square().sum()))
    assert found < 1.02 * min(errors)


def test_gradients_of_binary_weights_are_those_of_the_paper() -> None:
    """Section 3.1: ∂C/∂W = ∂C/∂W̃ (1 / n + α 1[|W| ≤ 1]) where all of a filter's gradients are equal and signs are +."""
    weight = drawn().abs().requires_grad_()
    _signs.Binary()(weight).sum().backward()
    alpha, inside = weight.detach().mean((1, 2, 3), keepdim=True), (weight.detach() <= 1).float()
    assert weight.grad is not None and torch.allclose(weight.grad, 1 + alpha * inside, atol=1e-5)


@pytest.mark.parametrize("kind", ["ternary", "binary", "xnor"])
def test_weights_lie_exactly_on_the_grid_that_is_recorded(kind: str) -> None:
    model, quantization = trained(kind)
    assert list(quantization) == [INNER]
    how, weight = quantization[INNER], model.get_submodule(INNER).get_parameter("weight").detach().numpy()
    assert how.grid is not None and how.grid.integers.max() < 2**how.bits
    on_grid = (how.grid.integers.astype(np.float32) - how.grid.zeros) * how.grid.scales
    assert np.array_equal(on_grid.reshape(weight.shape), weight)
    assert all(len(np.unique(np.abs(row[row != 0]))) <= 1 for row in weight)
    assert (weight == 0).any() == (kind == "ternary")
    pickle.dumps(model)


def test_a_signed_layer_computes_eq_11_and_pads_with_ones() -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(3, 5, 3, stride=2, padding=1)
    layer = _signs.with_signed_inputs("conv", plain).eval()
    layer.norm.running_mean.uniform_(-0.5, 0.5)
    inputs = torch.randn(2, 3, 7, 7)
    normal = layer.norm(inputs)
    size = nn.functional.conv2d(
        normal.abs().mean(1, keepdim=True), torch.full((1, 1, 3, 3), 1 / 9), stride=2, padding=1
    )
    signs = nn.functional.pad(torch.where(normal >= 0, 1.0, -1.0), (1, 1, 1, 1), value=1.0)
    wanted = nn.functional.conv2d(signs, plain.weight, stride=2) * size + plain.bias[:, None, None]  # type: ignore[index]
    assert torch.allclose(layer(inputs), wanted, atol=1e-6)
    dense = _signs.with_signed_inputs("fc", nn.Linear(6, 4)).eval()
    rows = torch.randn(2, 5, 6)
    assert dense(rows).shape == (2, 5, 4)
    assert torch.allclose(dense(rows)[1, 2], dense(rows[1, 2][None])[0], atol=1e-6)


def test_the_first_and_the_last_layer_stay_float_unless_told() -> None:
    names = {}
    for keep_ends in (True, False):
        ctx, model = context(), perceptron()
        Ternary(keep_ends=keep_ends, epochs=1).run(model, ctx)
        names[keep_ends] = list(ctx.quantization)
    assert names == {True: ["fc2"], False: ["fc1", "fc2", "fc3"]}
    preview = Ternary().preview(card_of(perceptron()))
    assert [layer.precision for layer in preview.layers] == ["float32", "int2", "float32"]
    assert preview.layers[1].packed_bytes == 16 * (16 * 2 // 8 + 4)


def test_signed_inputs_bring_a_normalisation_that_the_card_tells_of() -> None:
    ctx, model = context(), perceptron()
    Binary(inputs="signs", epochs=1).run(model, ctx)
    card = Binary(inputs="signs").preview(card_of(perceptron()))
    assert card.precision == "binary weights and inputs"
    assert card.num_params == sum(parameter.numel() for parameter in model.parameters())
    assert "fc2.norm" in [layer.name for layer in card.layers]


def test_what_they_cannot_do_is_said() -> None:
    two = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 3))
    for step in steps().values():
        assert any("keep_ends=False" in reason for reason in step.why_not(card_of(two)))
        assert any("labels" in reason for reason in step.why_not(card_of(perceptron(), task="unlabelled")))
        assert any("already" in reason for reason in step.why_not(Ternary().preview(card_of(perceptron()))))
    grouped: Any = made(Convolutional)
    with pytest.raises(WorkbenchError, match="conv2, a Conv2d as it is set up, can't have signs as inputs.*skip=conv2"):
        Binary(inputs="signs").run(grouped, context())
