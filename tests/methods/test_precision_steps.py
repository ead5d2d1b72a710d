"""int8_static, bfloat16 and fp8 only write down how each layer is to be stored."""

from __future__ import annotations

import pytest
import torch

from tests.methods._context import card_of, context, images, perceptron
from workbench.compress.bfloat16 import Bfloat16
from workbench.compress.fp8 import Fp8
from workbench.compress.int8_static import Int8Static
from workbench.errors import WorkbenchError
from workbench.part import Step


def convolutional() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten(), torch.nn.Linear(144, 3)
    )


@pytest.mark.parametrize("step", [Int8Static(), Bfloat16(), Fp8()])
def test_weights_stay_as_they_are(step: Step) -> None:
    model, before = perceptron(), perceptron()
    assert step.run(model, context()) is model
    assert all(torch.equal(a, b) and a.dtype == torch.float32 for a, b in zip(model.parameters(), before.parameters()))


@pytest.mark.parametrize("step", [Int8Static(skip=["0"]), Bfloat16(skip=["0"])])
def test_a_skipped_layer_gets_no_record(step: Step) -> None:
    ctx = context(images())
    step.run(convolutional(), ctx)
    assert list(ctx.quantization) == ["3"]
    preview = {layer.name: layer.precision for layer in step.preview(card_of(convolutional(), images())).layers}
    assert preview["0"] == "float32" != preview["3"]


def test_int8_leaves_norms_and_embeddings_alone_and_bfloat16_takes_them_along() -> None:
    """A shared output layer must be cast with its embedding: one half of a pair can't be stored otherwise."""
    model = torch.nn.Sequential(
        torch.nn.Embedding(32, 8), torch.nn.LayerNorm(8), torch.nn.Linear(8, 8), torch.nn.Linear(8, 32)
    )
    model[3].weight = model[0].weight
    int8, bfloat16 = context(), context()
    Int8Static().run(model, int8)
    Bfloat16().run(model, bfloat16)
    assert list(int8.quantization) == ["2"]
    assert list(bfloat16.quantization) == ["0", "2", "3"]
    assert {layer.precision for layer in Bfloat16().preview(card_of(model)).layers} == {"bfloat16"}
    assert [layer.precision for layer in Int8Static().preview(card_of(model)).layers][:2] == ["float32"] * 2


def test_int8_static_records_what_was_asked_for() -> None:
    ctx = context(images())
    Int8Static(per_channel=False, calibration="percentile", num_calibration=16).run(convolutional(), ctx)
    conv, linear = ctx.quantization["0"], ctx.quantization["3"]
    assert (conv.scheme, conv.weights, conv.activations, conv.granularity) == ("static", "int8", "uint8", "tensor")
    assert (conv.calibration, conv.num_calibration, conv.kind, linear.kind) == ("percentile", 16, "conv", "linear")
    assert Int8Static().per_channel


def test_without_a_number_all_of_the_calibration_split_is_used() -> None:
    ctx = context()
    Int8Static().run(perceptron(), ctx)
    assert ctx.quantization["fc1"].num_calibration == len(ctx.data.calibration)


def test_more_calibration_examples_than_there_are_is_refused() -> None:
    with pytest.raises(WorkbenchError, match=r"1000 examples.*has 20 .*num_calibration=20"):
        Int8Static(num_calibration=1000).run(perceptron(), context())


def test_bfloat16_records_a_cast() -> None:
    ctx = context()
    Bfloat16().run(perceptron(), ctx)
    assert {(how.scheme, how.weights) for how in ctx.quantization.values()} == {("cast", "bfloat16")}


@pytest.mark.parametrize(
    ("step", "name"), [(Int8Static(), "int8 static"), (Bfloat16(), "bfloat16"), (Fp8(), "float8 weights")]
)
def test_the_card_says_what_the_model_is_stored_in(step: Step, name: str) -> None:
    card = card_of(perceptron())
    assert step.why_not(card) == []
    after = step.preview(card)
    assert after.precision == name
    assert any("already" in reason for reason in step.why_not(after)), "precision is decided once"


@pytest.mark.parametrize("cls", [Int8Static, Bfloat16])
def test_a_card_without_a_layer_to_store_is_refused(cls: type[Step]) -> None:
    step = cls(skip=["fc1", "fc2", "fc3"])  # type: ignore[call-arg]
    assert any("no linear or conv layer" in reason for reason in step.why_not(card_of(perceptron())))
    with pytest.raises(WorkbenchError, match="no layer"):
        step.run(perceptron(), context())
