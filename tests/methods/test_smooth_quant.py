"""SmoothQuant moves large activations into weights: the same answers, and 8 bits lose less of them."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from tests.methods._context import card_of, context, perceptron, vectors
from tests.methods._layers import Normed, Tied, made
from workbench.compress import _fake, _static
from workbench.compress.int8_static import Int8Static
from workbench.compress.smooth_quant import SmoothQuant
from workbench.context import SavingContext, StepContext
from workbench.errors import WorkbenchError
from workbench.formats.onnx import Onnx
from workbench.nouns import Splits

OTHERS = ["down", "head"]


def wide() -> Splits:
    return vectors(width=128)


def smoothed(ctx: StepContext, **options: float) -> torch.nn.Module:
    return SmoothQuant(skip=OTHERS, **options).run(made(Normed), ctx)  # type: ignore[arg-type]


def outputs(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(torch.from_numpy(wide().test.inputs["pixels"]))


def int8_error(model: torch.nn.Module) -> float:
    """Return the mean squared error of the outputs with weights and inputs in 8 bits, one scale each."""
    rounded, names = copy.deepcopy(model), ["up", "gate"]
    with _fake.faked(rounded, names, bits=8, per_channel=True, learned=False, norms={}) as inputs:
        _static._outputs(rounded, wide().calibration)
        for each in inputs.values():
            each.collects = False
        return float((outputs(rounded) - outputs(model)).square().mean())


def test_the_answers_stay_and_int8_loses_less() -> None:
    model, before = smoothed(context(wide())), made(Normed)
    assert torch.allclose(outputs(model), outputs(before), atol=1e-3)
    assert int8_error(model) < 0.3 * int8_error(before)


def test_the_file_loses_less_too(tmp_path: Path) -> None:
    errors = []
    for number, steps in enumerate([(), (SmoothQuant(skip=OTHERS),)]):
        ctx, model = context(wide()), made(Normed)
        for step in (*steps, Int8Static(skip=OTHERS)):
            model = step.run(model, ctx)
        example = {"pixels": wide().calibration.inputs["pixels"][:4]}
        saving = SavingContext(None, example, wide().calibration, ctx.quantization, 0)  # type: ignore[arg-type]
        folder = tmp_path / str(number)
        folder.mkdir()
        Onnx().save(model, folder, saving)
        found = Onnx().open(folder)({"pixels": wide().test.inputs["pixels"]})["logits"]
        errors.append(float((torch.from_numpy(found) - outputs(made(Normed))).square().mean()))
    assert errors[1] < 0.5 * errors[0]


def test_at_half_inputs_and_weights_have_the_same_range() -> None:
    """Eq. 4: max |X_j| / s_j = (max |X_j| · max |W_j|)^½ = s_j · max |W_j|."""
    ctx = context(wide())
    model = smoothed(ctx)
    inputs = model.norm(torch.from_numpy(ctx.data.calibration.inputs["pixels"])).abs().amax(0)  # type: ignore[operator]
    weights = torch.stack([model.get_submodule(name).weight.abs().amax(0) for name in ("up", "gate")]).amax(0)  # type: ignore[union-attr]
    assert torch.allclose(inputs, weights, rtol=1e-3)


def test_all_of_it_into_the_weights_makes_every_input_one() -> None:
    ctx = context(wide())
    model = smoothed(ctx, alpha=1.0)
    inputs = model.norm(torch.from_numpy(ctx.data.calibration.inputs["pixels"])).abs().amax(0)  # type: ignore[operator]
    assert torch.allclose(inputs, torch.ones(128), atol=1e-4)


def test_a_skipped_reader_keeps_what_it_reads() -> None:
    """Both layers read one normalisation: it can't be changed for one of them."""
    ctx = context(wide())
    model = SmoothQuant(skip=["gate"]).run(made(Normed), ctx)
    assert torch.equal(model.norm.weight, made(Normed).norm.weight)  # type: ignore[arg-type,union-attr]


def test_what_it_cannot_do_is_said() -> None:
    with pytest.raises(WorkbenchError, match="no layer whose input is made by"):
        SmoothQuant(skip=["fc2", "fc3"]).run(perceptron(), context())
    with pytest.raises(WorkbenchError, match="no layer whose input is made by"):
        from tests.methods._context import token_rows

        SmoothQuant().run(made(Tied), context(token_rows(), num_classes=32))
    assert any("already" in reason for reason in SmoothQuant().why_not(card_of(perceptron(), precision="int8 static")))
