"""What int8_static can do before a file is made: equal ranges, corrected biases, ranges of least error, layers left float."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.methods._context import card_of, context, perceptron, token_rows, vectors
from tests.methods._layers import Tied, made
from tests.methods._skewed import accuracy, digits, filed, in_torch, skewed, stepped
from workbench.compress import _static
from workbench.compress.int8_static import Int8Static
from workbench.context import SavingContext
from workbench.errors import WorkbenchError
from workbench.formats.onnx import Onnx

LAYERS = ["blocks.0.conv", "blocks.1.conv", "classifier"]


@cache
def outputs(**options: Any) -> np.ndarray:
    return filed(*stepped(Int8Static(per_channel=False, **options)))[0]


def error(found: np.ndarray) -> float:
    """Return the mean squared difference from the float network's outputs."""
    return float(np.square(found - in_torch(skewed())).mean())


def test_equalised_layers_bear_one_scale_per_layer() -> None:
    """Nagel et al., table 1: accuracy that per-tensor rounding loses comes back without data or training."""
    as_float = accuracy(in_torch(skewed()))
    assert accuracy(outputs()) < as_float - 0.2
    assert accuracy(outputs(equalise=True)) > as_float - 0.03
    assert error(outputs(equalise=True)) < 0.01 * error(outputs())


def test_equalising_changes_no_answer_and_makes_ranges_equal() -> None:
    model, _ = stepped(Int8Static(equalise=True))
    assert np.allclose(in_torch(model), in_torch(skewed()), atol=1e-3)
    norm, user = model.get_submodule("blocks.0.norm"), model.get_submodule("blocks.1.conv")
    factor = norm.weight / (norm.running_var + norm.eps).sqrt()  # type: ignore[operator,union-attr]
    own = (
        model.get_submodule("blocks.0.conv").get_parameter("weight").flatten(1).abs().amax(1) * factor.abs()
    ).detach()
    reading = user.get_parameter("weight").detach().abs().amax((0, 2, 3))
    assert torch.allclose(own, reading, rtol=0.02)


def test_correcting_biases_takes_the_mean_error_out() -> None:
    wanted = in_torch(skewed()).mean(0)
    mean_errors = [np.abs(found.mean(0) - wanted).mean() for found in (outputs(), outputs(correct_bias=True))]
    assert mean_errors[1] < 0.5 * mean_errors[0]
    assert error(outputs(correct_bias=True)) < 0.5 * error(outputs())


def test_a_corrected_bias_is_the_error_of_the_mean_input() -> None:
    model, before = perceptron(), perceptron()
    model.fc3.bias = before.fc3.bias = None  # a layer without one gets one
    Int8Static(correct_bias=True, per_channel=False).run(model, context())
    pixels = torch.from_numpy(context().data.calibration.inputs["pixels"])
    hidden = before.fc2(before.fc1(pixels).relu()).relu()
    scale = before.fc3.weight.abs().max() / 127
    rounding = (before.fc3.weight / scale).round() * scale - before.fc3.weight
    assert torch.allclose(model.fc3.bias, -(rounding @ hidden.mean(0)), atol=1e-6)
    assert torch.equal(model.fc1.weight, before.fc1.weight)


@pytest.mark.slow
def test_the_layers_that_suffer_most_stay_float() -> None:
    model, quantization = stepped(Int8Static(per_channel=False, keep_float=1))
    kept = set(LAYERS) - set(quantization)
    alone = {name: error(outputs(skip=tuple(each for each in LAYERS if each != name))) for name in LAYERS}  # type: ignore[arg-type]
    assert kept == {max(alone, key=lambda name: alone[name])}
    assert torch.equal(*(each.get_submodule("classifier").get_parameter("weight") for each in (model, skewed())))
    _, stored, _ = filed(model, quantization)
    assert {name for name, weight in stored.items() if weight.dtype == "float32"} == kept
    assert error(filed(model, quantization)[0]) < error(outputs())


def test_ranges_of_least_error_leave_a_lonely_outlier_out() -> None:
    splits = vectors()
    splits.calibration.inputs["pixels"][0, 0] = 40.0
    found = _static.least_error_ranges(perceptron(), ["fc1"], splits.calibration)["fc1"]
    given = splits.calibration.inputs["pixels"]

    def squared_error(low: float, high: float) -> float:
        scale = (high - low) / 255
        zero = round(-low / scale)
        return float(np.square((np.clip(np.rint(given / scale) + zero, 0, 255) - zero) * scale - given).sum())

    assert found[0] <= 0 <= found[1]
    assert squared_error(*found) <= squared_error(min(given.min(), 0), given.max()) * 1.001
    quiet = np.full((20, 8), 0.5, np.float32)
    quiet[:, 0] = np.linspace(-1, 1, 20)
    splits.calibration.inputs["pixels"][:] = quiet
    assert _static.least_error_ranges(perceptron(), ["fc1"], splits.calibration)["fc1"] == pytest.approx(
        (-1, 1), abs=0.1
    )


def test_a_range_that_the_step_found_is_recorded() -> None:
    ctx = context()
    Int8Static(calibration="mse").run(perceptron(), ctx)
    how = ctx.quantization["fc2"]
    assert how.input_range is not None and how.input_range[0] == 0.0 < how.input_range[1]


@pytest.mark.parametrize("calibration", ["percentile", pytest.param("entropy", marks=pytest.mark.slow)])
def test_calibrating_by_histograms_takes_any_number_of_examples(calibration: Any) -> None:
    model, quantization = stepped(Int8Static(calibration=calibration, num_calibration=37))
    assert accuracy(filed(model, quantization)[0]) > 0.8
    assert len(digits()[0].calibration) > 37


def test_a_layer_that_is_called_twice_is_one_int8_weight(tmp_path: Path) -> None:
    ctx = context(token_rows(), num_classes=32)
    model = Int8Static().run(made(Tied), ctx)
    assert list(ctx.quantization) == ["middle"]
    example = {"tokens": ctx.data.calibration.inputs["tokens"][:4]}
    saving = SavingContext(None, example, ctx.data.calibration, ctx.quantization, 0)  # type: ignore[arg-type]
    assert "int8" in Onnx().save(model, tmp_path, saving)["weights"]


def test_what_it_cannot_do_is_said() -> None:
    card = card_of(perceptron())
    assert any("leaves none of 3" in reason for reason in Int8Static(keep_float=3).why_not(card))
    assert any("stay float32" in note for note in Int8Static(keep_float=1).preview(card).notes)
    lonely = torch.nn.Sequential(torch.nn.Linear(8, 3))

    class Named(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = lonely

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return self.inner(pixels)

    with pytest.raises(WorkbenchError, match="no layer that feeds another"):
        Int8Static(equalise=True).run(Named(), context())
