"""Weights on integer grids: what each method promises of the error, and what the grid promises of the weights."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from tests.methods._context import card_of, context, images, perceptron, vectors
from tests.methods._layers import Normed, made
from workbench.compress import _awq, _gptq, _grid, _hqq, _rtn
from workbench.compress.weight_only import WeightOnly
from workbench.errors import WorkbenchError
from workbench.nouns import Grid, Quantization

WIDTHS = (8, 300, 70, 3)  # 300 and 70 are no multiples of 16, 32, …


def quantized(**options: Any) -> tuple[torch.nn.Module, dict[str, Quantization]]:
    model, ctx = perceptron(widths=WIDTHS), context()
    assert WeightOnly(**options).run(model, ctx) is model
    return model, ctx.quantization


def grid_of(how: Quantization) -> Grid:
    assert how.grid is not None
    return how.grid


def errors(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    before = perceptron(widths=WIDTHS)
    return {
        name: (model.get_submodule(name).weight - before.get_submodule(name).weight).detach()
        for name in ("fc1", "fc2", "fc3")
    }


@pytest.mark.parametrize("group_size", [16, 32, 256, None])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [8, 4, 3, 2])
def test_every_weight_lies_on_its_groups_grid_bit_for_bit(bits: int, symmetric: bool, group_size: int | None) -> None:
    model, quantization = quantized(bits=bits, symmetric=symmetric, group_size=group_size)
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


def hidden_inputs(model: torch.nn.Module) -> torch.Tensor:
    """Return what fc2 gets to see of the calibration split."""
    pixels = torch.from_numpy(context().data.calibration.inputs["pixels"])
    return model.fc1(pixels).relu().detach()


def output_error(method: str, **options: Any) -> float:
    """Return the squared error of fc2's outputs on its calibration inputs, over that of no output at all."""
    options = {"skip": ["fc1", "fc3"], **options}
    model, inputs = quantized(method=method, **options)[0], hidden_inputs(perceptron(widths=WIDTHS))
    wanted = inputs @ perceptron(widths=WIDTHS).fc2.weight.detach().T
    return float((inputs @ model.fc2.weight.detach().T - wanted).square().sum() / wanted.square().sum())


@pytest.mark.parametrize("options", [{}, {"act_order": True}, {"symmetric": False}, {"group_size": None}, {"group_size": 256}],
                         ids=str)  # fmt: skip
@pytest.mark.parametrize("bits", [4, 3])
def test_gptq_keeps_the_layers_outputs_better_than_rounding(bits: int, options: dict[str, Any]) -> None:
    plain = {name: value for name, value in options.items() if name != "act_order"}
    assert output_error("gptq", bits=bits, **options) < 0.5 * output_error("rtn", bits=bits, **plain)


def test_gptq_is_rounding_where_inputs_are_independent() -> None:
    """Nothing can make up for an error of an input that no other input resembles."""
    weight = torch.randn(6, 40, generator=torch.Generator().manual_seed(0))
    ranges = partial(_rtn.of_groups, bits=3, symmetric=True, search=False)
    integers, scales, zeros = _gptq.solve(weight, torch.eye(40).double(), ranges, bits=3, order=_gptq.Order(16))
    wanted = ranges(_grid.grouped(weight, 16))
    assert torch.equal(scales, wanted[0]) and torch.equal(zeros, wanted[1])
    wide = [_grid.spread(each, weight, 16) for each in wanted]
    assert torch.equal(integers, _grid.rounded(weight, wide[0], wide[1], 3))


def test_gptq_gives_the_paper_s_update_for_two_inputs() -> None:
    """The second weight takes over −error · H⁻¹₀₁ / H⁻¹₀₀ of the first (eq. 2)."""
    hessian = torch.tensor([[1.0, 0.8], [0.8, 1.0]]).double()
    fixed = lambda groups: (torch.ones(groups.shape[:-1]), torch.full(groups.shape[:-1], 8.0))  # noqa: E731
    integers, _, _ = _gptq.solve(
        torch.tensor([[0.4, 0.3]]), hessian, fixed, bits=4, order=_gptq.Order(None, damping=1e-6)
    )
    assert (integers - 8).tolist() == [[0.0, 1.0]]  # 0.3 + 0.8 · 0.4 = 0.62: rounded to nearest it were 0


def test_an_input_that_is_always_zero_keeps_its_rounded_weight() -> None:
    weight = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    rows = torch.randn(64, 16, generator=torch.Generator().manual_seed(1)).double()
    rows[:, 5] = 0
    ranges = partial(_rtn.of_groups, bits=4, symmetric=True, search=False)
    integers, scales, _ = _gptq.solve(weight, rows.T @ rows, ranges, bits=4, order=_gptq.Order(None))
    assert torch.equal(integers[:, 5], _grid.rounded(weight[:, 5], scales[:, 0], torch.tensor(8.0), 4))


def test_each_layer_sees_what_the_rounded_layers_before_it_give() -> None:
    model, ctx = perceptron(widths=WIDTHS), context()
    seen: list[torch.Tensor] = []
    model.fc2.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    WeightOnly(method="gptq", bits=3).run(model, ctx)
    pixels = torch.from_numpy(ctx.data.calibration.inputs["pixels"])
    assert torch.equal(seen[1], model.fc1(pixels).relu())  # the pass for fc2, after fc1 was rounded


def test_more_calibration_examples_than_there_are_is_refused() -> None:
    with pytest.raises(WorkbenchError, match=r"on 1000 examples.*has 20 .*num_calibration=20"):
        WeightOnly(method="gptq", num_calibration=1000).run(perceptron(), context())


def test_gptq_refuses_inputs_that_say_nothing_and_layers_that_are_never_called() -> None:
    splits = vectors()
    splits.calibration.inputs["pixels"][:] = 0.0
    with pytest.raises(WorkbenchError, match="zero on all calibration examples"):
        WeightOnly(method="gptq").run(perceptron(), context(splits))
    splits.calibration.inputs["pixels"][:] = np.nan
    with pytest.raises(WorkbenchError, match="NaN or infinite values reach fc1"):
        WeightOnly(method="gptq").run(perceptron(), context(splits))
    model = perceptron()
    model.unused = torch.nn.Linear(4, 4)
    with pytest.raises(WorkbenchError, match=r"unused is never called.*skip=unused"):
        WeightOnly(method="gptq").run(model, context())


def lp_error(method: str, **options: Any) -> float:
    error = errors(quantized(method=method, symmetric=False, **options)[0])["fc2"]
    return float(error.abs().pow(0.7).sum())


@pytest.mark.parametrize("group_size", [32, 256, None])
@pytest.mark.parametrize("bits", [4, 3, 2])
def test_hqq_has_less_lp_error_than_rounding_with_the_same_scales(bits: int, group_size: int | None) -> None:
    assert lp_error("hqq", bits=bits, group_size=group_size) < 0.995 * lp_error("rtn", bits=bits, group_size=group_size)


def test_hqq_makes_no_group_worse_and_moves_zero_points_off_the_integers() -> None:
    weight = torch.randn(32, 70, generator=torch.Generator().manual_seed(0))
    groups = _grid.grouped(weight, 32)
    scales, start = _rtn.of_groups(groups, bits=3, symmetric=False, search=False)
    found = _hqq.zeros(weight, scales, start, bits=3, group_size=32)

    def error(zeros: torch.Tensor) -> torch.Tensor:
        wide_scales, wide = (_grid.spread(each, weight, 32) for each in (scales, zeros))
        error = ((_grid.rounded(weight, wide_scales, wide, 3) - wide) * wide_scales - weight).abs().pow(0.7)
        return _grid.grouped(error, 32).sum(-1)

    assert (error(found) <= error(start) * 1.0001).all()
    assert (found != found.round()).float().mean() > 0.5


def test_hqq_hands_over_float_zero_points_and_the_weights_lie_on_them() -> None:
    model, quantization = quantized(method="hqq", symmetric=False, bits=3)
    grid, weight = grid_of(quantization["fc2"]), model.fc2.weight.detach().numpy()
    group = np.arange(weight.shape[1]) // 32
    assert quantization["fc2"].float_zeros and grid.zeros.dtype == np.float32
    assert np.array_equal((grid.integers.astype(np.float32) - grid.zeros[:, group]) * grid.scales[:, group], weight)


def test_hqq_says_that_it_needs_zero_points_and_few_bits() -> None:
    card = card_of(perceptron())
    assert any("symmetric=False" in reason for reason in WeightOnly(method="hqq").why_not(card))
    assert any(
        "4 bits and fewer" in reason for reason in WeightOnly(method="hqq", symmetric=False, bits=8).why_not(card)
    )
    assert WeightOnly(method="hqq", symmetric=False).why_not(card) == []


def awq_error(method: str, bits: int) -> float:
    """Return the mean squared error of the answers with `up` and `gate` on a grid whose groups are whole rows."""
    ctx, model = context(vectors(width=128)), made(Normed)
    WeightOnly(bits=bits, method=method, group_size=None, skip=["down", "head"]).run(model, ctx)  # type: ignore[arg-type]
    pixels = torch.from_numpy(ctx.data.test.inputs["pixels"])
    with torch.no_grad():
        return float((model(pixels) - made(Normed)(pixels)).square().mean())


@pytest.mark.parametrize("bits", [4, 3])
def test_awq_rounds_the_weights_that_meet_large_activations_more_finely(bits: int) -> None:
    assert awq_error("awq", bits) < 0.5 * awq_error("rtn", bits)


def test_awq_folds_its_factors_into_what_stands_before() -> None:
    ctx, model, before = context(vectors(width=128)), made(Normed), made(Normed)
    rounded = WeightOnly(bits=3, group_size=None)._rounded
    assert _awq.scale(model, ["up", "gate", "down"], ctx.data.calibration, rounded) == 3
    pixels = torch.from_numpy(ctx.data.test.inputs["pixels"])
    assert torch.allclose(model(pixels), before(pixels), rtol=1e-3, atol=1e-3)
    shrunk = before.norm.weight / model.norm.weight
    assert shrunk[3] > shrunk[8] > 2 * shrunk[0]


def test_awq_without_a_place_for_its_factors_is_refused() -> None:
    with pytest.raises(WorkbenchError, match="no layer's inputs can be scaled.*method=gptq"):
        WeightOnly(method="awq", skip=["fc1", "fc3"]).run(perceptron(), context())
