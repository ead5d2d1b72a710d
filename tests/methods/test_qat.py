"""Training with fake quantization: what training saw is what the file computes, and it bears what int8_static does not."""

from __future__ import annotations

import copy
import pickle
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from tests.methods._context import card_of, context, perceptron
from tests.methods._skewed import accuracy, digits, even, filed, in_torch, skewed, stepped
from workbench.compress import _fake
from workbench.compress.int8_static import Int8Static
from workbench.compress.qat import Qat
from workbench.errors import WorkbenchError
from workbench.nouns import Quantization

LAYERS = ["blocks.0.conv", "blocks.1.conv", "classifier"]


@cache
def trained(*, on: Any = skewed, **options: Any) -> tuple[torch.nn.Module, dict[str, Quantization]]:
    return stepped(Qat(learning_rate=5e-3, epochs=8, **options), on=on)


def test_it_keeps_what_int8_static_loses_at_the_same_settings() -> None:
    as_float, static = accuracy(in_torch(skewed())), accuracy(filed(*stepped(Int8Static(per_channel=False)))[0])
    aware = accuracy(filed(*trained(per_channel=False))[0])
    assert static < as_float - 0.2
    assert aware > static + 0.2 and aware > as_float - 0.1, (as_float, static, aware)


@pytest.mark.parametrize("format_name", ["onnx", pytest.param("openvino", marks=pytest.mark.slow)])
def test_the_file_computes_what_training_saw(format_name: str) -> None:
    """Up to the rounding of what lies between layers, which files do too: less than that of inputs itself moves."""
    model, quantization = trained(bits=4, on=even)
    outputs, stored, _ = filed(model, quantization, format_name)
    again = copy.deepcopy(model)
    with _fake.faked(again, LAYERS, bits=4, per_channel=True, learned=False, norms={}) as inputs:
        for name, each in inputs.items():
            each.ends.copy_(torch.tensor(quantization[name].input_range))
            each.collects = each.follows = False
        seen = in_torch(again)
    assert np.abs(outputs - seen).mean() < 0.01 * np.abs(seen).mean()
    in_memory = model.get_submodule("classifier").get_parameter("weight").detach().numpy()
    assert np.allclose(stored["classifier"].values, in_memory, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_weights_are_stored_in_the_bits_asked_for() -> None:
    stored = {bits: filed(*trained(bits=bits))[1] for bits in (8, 4)}
    for name in LAYERS:
        wide, narrow = stored[8][name], stored[4][name]
        assert (wide.dtype, narrow.dtype) == ("int8", "int4")
        outputs = wide.values.shape[0]
        assert wide.num_bytes == wide.values.size + 5 * outputs  # a scale and a zero point a channel
        assert narrow.num_bytes == narrow.values.size // 2 + outputs * 4 + outputs // 2
        rows = narrow.values.reshape(outputs, -1)
        assert all(len(np.unique(row)) <= 16 for row in rows) and max(len(np.unique(row)) for row in rows) >= 8


def test_with_one_scale_a_channel_a_folded_normalisation_changes_no_integer() -> None:
    model, quantization = trained()
    stored = filed(model, quantization)[1]["blocks.1.conv"].values
    weight = model.get_submodule("blocks.1.conv").get_parameter("weight").detach()
    own = _fake.rounded(weight, bits=8, axis=0).numpy()
    steps = [np.abs(each).max(axis=(1, 2, 3), keepdims=True) / 127 for each in (stored, own)]
    integers = [np.abs(np.rint(each / step)) for each, step in zip((stored, own), steps)]
    assert np.array_equal(*integers)


def test_the_model_is_left_as_an_ordinary_model() -> None:
    model, quantization = trained()
    before = skewed()
    assert [type(each) for each in model.modules()] == [type(each) for each in before.modules()]
    assert model.state_dict().keys() == before.state_dict().keys()
    assert not any(each._forward_pre_hooks for each in model.modules())
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in model.parameters())
    pickle.dumps(model)
    assert list(quantization) == LAYERS
    how = quantization["classifier"]
    assert (how.scheme, how.weights, how.activations, how.granularity) == ("static", "int8", "uint8", "channel")
    assert how.input_range is not None and how.input_range[0] == 0.0 < how.input_range[1]
    assert how.num_calibration == len(digits()[0].calibration)


def test_learned_ranges_are_narrower_than_all_that_comes_in() -> None:
    """Ends are moved where fewer steps are wasted on what is rare, which the extremes seen can't be."""
    ctx, model = context(), perceptron(widths=(8, 64, 64, 3))
    ctx.train(model, epochs=30, learning_rate=1e-2)
    Qat(ranges="learned", epochs=60, bits=4, learning_rate=1e-2).run(model, ctx)
    pixels = torch.from_numpy(ctx.data.train.inputs["pixels"])
    how = ctx.quantization["fc1"]
    assert how.input_range is not None
    assert how.input_range[1] - how.input_range[0] < float(pixels.max() - pixels.min())


def test_pruned_weights_stay_zero_and_a_skipped_layer_has_no_record() -> None:
    ctx, model = context(), perceptron()
    zero = torch.rand(model.fc2.weight.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    model.fc2.weight.data[zero] = 0.0
    before = model.fc2.weight.detach().clone()
    Qat(skip=["fc3"]).run(model, ctx)
    assert not model.fc2.weight[zero].any() and not torch.equal(model.fc2.weight, before)
    assert list(ctx.quantization) == ["fc1", "fc2"]


def test_running_statistics_stay_after_most_of_the_training() -> None:
    frozen: list[int] = []

    class Watched(torch.nn.BatchNorm1d):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            frozen.append(0 if self.training else 1)
            return super().forward(inputs)

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 4), Watched(4), torch.nn.Linear(4, 3))

    class Named(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return self.inner(pixels)

    Qat(epochs=8, batch_size=48).run(Named(), context())
    assert frozen[-9:] == [0] * 6 + [1] * 3  # of eight updates; the last call looks at the outputs


def test_what_it_cannot_do_is_said() -> None:
    card = card_of(perceptron())
    assert any("labels" in reason for reason in Qat().why_not(card_of(perceptron(), task="unlabelled")))
    assert any("no linear or conv layer" in reason for reason in Qat(skip=["fc1", "fc2", "fc3"]).why_not(card))
    assert any("already" in reason for reason in Qat().why_not(Qat(bits=4).preview(card)))
    assert Qat(bits=4).preview(card).precision == "int4 static"
    with pytest.raises(WorkbenchError, match="no layer"):
        Qat(skip=["fc1", "fc2", "fc3"]).run(perceptron(), context())
