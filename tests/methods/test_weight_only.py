"""Weights on integer grids: what each method promises of the error, and what the grid promises of the weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.methods._context import card_of, context, images, perceptron
from tests.methods._rounded import WIDTHS, errors, grid_of, quantized
from workbench.compress import _grid, _rtn
from workbench.compress.weight_only import WeightOnly
from workbench.errors import WorkbenchError


@pytest.mark.parametrize("group_size", [16, 32, 256, None])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [8, 4, 3, 2])
def test_every_weight_lies_on_its_groups_grid_bit_for_bit(bits: int, symmetric: bool, group_size: int | None) -> None:
    model, quantization = quantized(bits=bits, symmetric=symmetric, group_size=group_size)
    assert set(quantization) == {"fc1", "fc2", "fc3"}
    for name, how in quantization.items():
        grid, weight = grid_of(how), model.get_submodule(name).weight.detach().numpy()
        assert grid.integers.dtype == np.uint8 and grid.integers.max() < 2**bits
        group = np.arange(weight.shape[1]) // (group_size or weight.shape[1])
        assert grid.scales.shape[1] == group[-1] + 1
        on_grid = (grid.integers.astype(np.float32) - grid.zeros[:, group].astype(np.float32)) * grid.scales[:, group]
        assert np.array_equal(on_grid, weight)
        assert not symmetric or (grid.zeros == 2 ** (bits - 1)).all()


@pytest.mark.parametrize("bits", [8, 4, 3, 2])
def test_rounding_moves_no_weight_of_a_symmetric_grid_further_than_half_a_step(bits: int) -> None:
    model, quantization = quantized(bits=bits)
    assert set(errors(model)) == set(quantization) != set()
    for name, error in errors(model).items():
        scales = _grid.spread(torch.from_numpy(grid_of(quantization[name]).scales), error, 32)
        assert (error.abs() <= scales * 0.5001).all()


def test_eight_bits_are_nearly_lossless_and_each_bit_less_costs() -> None:
    before = perceptron(widths=WIDTHS).fc2.weight.detach().square().sum()
    relative = [float(errors(quantized(bits=bits)[0])["fc2"].square().sum() / before) for bits in (8, 4, 3, 2)]
    assert relative[0] < 2e-5
    assert relative == sorted(relative)


def test_a_large_weight_harms_its_own_group_only() -> None:
    model, ctx, before = perceptron(widths=WIDTHS), context(), perceptron(widths=WIDTHS)
    for each in (model, before):
        each.fc2.weight.data[0, 40] = 100.0  # in the second group of 32
    WeightOnly(bits=4).run(model, ctx)
    error = (model.fc2.weight - before.fc2.weight)[0].detach().abs()
    assert error[32:64].mean() > 10 * error[:32].mean()
    assert error[64:].max() < 0.01 < error[32:64].max()


def test_the_last_short_group_has_a_grid_of_its_own() -> None:
    _, quantization = quantized(bits=4, group_size=256)
    assert grid_of(quantization["fc2"]).scales.shape == (70, 2)  # 256 and 44 of 300
    weight = perceptron(widths=WIDTHS).fc2.weight.detach()
    assert np.allclose(grid_of(quantization["fc2"]).scales[:, 1], weight[:, 256:].abs().amax(1) / 7.5)


@pytest.mark.parametrize("symmetric", [True, False])
def test_zero_stays_zero_and_a_row_of_zeros_is_harmless(symmetric: bool) -> None:
    model = perceptron(widths=WIDTHS)
    model.fc2.weight.data[3] = 0.0
    model.fc2.weight.data[:, ::2] = 0.0
    WeightOnly(bits=3, symmetric=symmetric).run(model, context())
    assert not model.fc2.weight[3].any() and not model.fc2.weight[:, ::2].any()
    assert torch.isfinite(model.fc2.weight).all()


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_searched_range_has_less_squared_error_and_never_more(symmetric: bool) -> None:
    weight = torch.randn(64, 96, generator=torch.Generator().manual_seed(0))

    def per_group(search: bool) -> torch.Tensor:
        groups = _grid.grouped(weight, 32)
        scales, zeros = _rtn.of_groups(groups, bits=3, symmetric=symmetric, search=search)
        scales, zeros = scales[..., None], zeros[..., None]
        return ((_grid.rounded(groups, scales, zeros, 3) - zeros) * scales - groups).square().sum(-1)

    plain, searched = per_group(False), per_group(True)
    assert (searched <= plain).all()
    assert searched.sum() < 0.95 * plain.sum()


def test_a_zero_point_fits_weights_of_one_sign_better() -> None:
    weight = torch.rand(16, 64, generator=torch.Generator().manual_seed(0)) + 0.5
    found = []
    for symmetric in (True, False):
        scales, _ = _rtn.of_groups(_grid.grouped(weight, 32), bits=4, symmetric=symmetric, search=False)
        found.append(float(scales.mean()))
    assert found[1] < 0.6 * found[0]


def test_a_skipped_layer_keeps_its_weights_and_convolutions_are_left_alone() -> None:
    model, before = (torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 32),
                                         torch.nn.Linear(32, 3)) for _ in range(2))  # fmt: skip
    before.load_state_dict(model.state_dict())
    ctx = context(images())
    WeightOnly(skip=["3"]).run(model, ctx)
    assert list(ctx.quantization) == ["2"]
    assert torch.equal(model[0].weight, before[0].weight) and torch.equal(model[3].weight, before[3].weight)
    preview = {layer.name: layer for layer in WeightOnly(skip=["3"]).preview(card_of(model, images())).layers}
    assert [preview[name].precision for name in ("0", "2", "3")] == ["float32", "int4", "float32"]
    assert preview["2"].packed_bytes == 32 * 5 * (16 + 4)


def test_the_card_says_bits_and_group() -> None:
    card = card_of(perceptron())
    assert WeightOnly().preview(card).precision == "int4 weights, group 32"
    assert WeightOnly(bits=2, group_size=None).preview(card).precision == "int2 weights, per channel"
    assert WeightOnly(symmetric=False).preview(card).precision == "int4 weights, group 32, zero points"
    assert any("already" in reason for reason in WeightOnly().why_not(WeightOnly().preview(card)))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_with_the_layers_name(value: float) -> None:
    model = perceptron()
    model.fc2.weight.data[0, 0] = value
    with pytest.raises(WorkbenchError, match="fc2 holds NaN or infinity"):
        WeightOnly().run(model, context())


def test_a_transposed_layer_is_refused_before_anything_is_changed() -> None:
    from transformers.pytorch_utils import Conv1D

    model = torch.nn.Sequential(torch.nn.Linear(8, 8), Conv1D(3, 8))
    before = model[0].weight.clone()
    with pytest.raises(WorkbenchError, match="1 is a Conv1D.*skip=1"):
        WeightOnly().run(model, context())
    assert torch.equal(model[0].weight, before)


def test_no_linear_layer_left_is_refused() -> None:
    with pytest.raises(WorkbenchError, match="no linear layer"):
        WeightOnly(skip=["fc1", "fc2", "fc3"]).run(perceptron(), context())
    assert any(
        "no linear layer" in reason for reason in WeightOnly(skip=["fc1", "fc2", "fc3"]).why_not(card_of(perceptron()))
    )
