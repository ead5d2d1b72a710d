"""GPTQ, HQQ and AWQ against rounding to nearest, each by the error that it makes small."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from tests.methods._context import card_of, context, perceptron, vectors
from tests.methods._layers import Normed, made
from tests.methods._rounded import WIDTHS, errors, grid_of, quantized
from workbench.compress import _awq, _gptq, _grid, _hqq, _rtn
from workbench.compress.weight_only import WeightOnly
from workbench.errors import WorkbenchError


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
