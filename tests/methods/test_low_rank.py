"""low_rank puts two thin layers in the place of one, and moves the outputs least."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.methods._context import card_of, context, num_params, perceptron, token_rows, vectors
from tests.methods._layers import Tied, Transposed, made, weight
from tests.promises._every import carried_out_here
from workbench.artifact import read
from workbench.compress.low_rank import LowRank
from workbench.errors import WorkbenchError
from workbench.job import Job
from workbench.nouns import Splits
from workbench.store import Store
from workbench.zoo._describe import card_of as describe
from workbench.zoo.tiny_lm import TinyLm


def wide() -> Any:
    return perceptron(widths=(32, 48, 16, 3))


def points() -> Splits:
    """Points that move far along some coordinates and hardly along others."""
    splits = vectors(width=32, sizes=(64, 24, 120, 24))
    for part in (splits.train, splits.validation, splits.calibration, splits.test):
        part.inputs["pixels"][:, 8:] *= 0.05
    return splits


def calibration(splits: Splits) -> torch.Tensor:
    return torch.from_numpy(splits.calibration.inputs["pixels"]).double()


def product(model: nn.Module, layer: str) -> torch.Tensor:
    return weight(model, f"{layer}.1").double() @ weight(model, f"{layer}.0").double()


def moved(step: LowRank, splits: Splits) -> float:
    change = product(step.run(wide(), context(splits)), "fc1") - weight(wide(), "fc1").double()
    return float((calibration(splits) @ change.T).norm())


def test_plain_truncation_is_the_nearest_matrix_of_its_rank() -> None:
    sizes = torch.linalg.svdvals(weight(wide(), "fc1").double())
    split = LowRank(ratio=0.5, activation_aware=False).run(wide(), context(points()))
    change = product(split, "fc1") - weight(wide(), "fc1").double()
    rank = int(0.5 * 32 * 48 / (32 + 48))
    assert split.fc1[0].out_features == split.fc1[1].in_features == rank == 9
    assert float(change.norm()) == pytest.approx(float(sizes[rank:].norm()), rel=1e-5)


def test_aware_truncation_moves_the_outputs_as_little_as_any_matrix_of_its_rank_can() -> None:
    """The least possible by hand: the discarded singular values of W Xᵀ."""
    splits = points()
    least = torch.linalg.svdvals(weight(wide(), "fc1").double() @ calibration(splits).T)[9:].norm()
    aware, plain = moved(LowRank(ratio=0.5), splits), moved(LowRank(ratio=0.5, activation_aware=False), splits)
    assert aware == pytest.approx(float(least), rel=1e-3)
    assert aware < 0.5 * plain


def test_each_pair_holds_fewer_weights_and_the_preview_is_exact() -> None:
    data = context(points()).data_card
    for ratio in (0.2, 0.5, 0.8):
        step, model = LowRank(ratio=ratio), wide()
        before = describe(model, data, name="drawn")
        preview = step.preview(before)
        after = describe(step.run(model, context(points())), data, name="drawn")
        assert preview.layers == after.layers and preview.num_params == after.num_params == num_params(model)
        assert preview.structure == "reshaped"
        removed = sum(layer.num_weights for layer in before.layers) - sum(layer.num_weights for layer in after.layers)
        assert removed >= ratio * sum(layer.num_weights for layer in before.layers)


def test_a_layer_too_small_for_any_rank_stays_and_when_all_are_it_is_refused() -> None:
    step, model = LowRank(ratio=0.7, skip=[]), wide()  # fc3 is 3 × 16: ⌊0.3 · 48 / 19⌋ = 0
    assert [layer.name for layer in step.preview(card_of(model)).layers] == ["fc1.0", "fc1.1", "fc2.0", "fc2.1", "fc3"]
    assert isinstance(step.run(model, context(points())).fc3, nn.Linear)
    only_fc3 = LowRank(ratio=0.7, skip=["fc1", "fc2"])
    assert any("large enough" in reason for reason in only_fc3.why_not(card_of(wide())))
    with pytest.raises(WorkbenchError, match="no layer to split"):
        only_fc3.run(wide(), context(points()))


def test_later_layers_are_split_on_what_the_split_ones_before_give() -> None:
    splits = points()
    split = LowRank(ratio=0.8).run(wide(), context(splits))
    with torch.no_grad():
        hidden = split.fc1(calibration(splits).float()).relu().double()
    old = weight(wide(), "fc2").double()
    rank = split.fc2[0].out_features
    least = torch.linalg.svdvals(old @ hidden.T)[rank:].norm()
    assert float((hidden @ (product(split, "fc2") - old).T).norm()) == pytest.approx(float(least), rel=1e-3)


def test_biases_go_along_and_skipped_layers_stay() -> None:
    split = LowRank(skip=["fc2"]).run(wide(), context(points()))
    assert torch.equal(split.fc1[1].bias, wide().fc1.bias) and split.fc1[0].bias is None
    assert torch.equal(weight(split, "fc2"), weight(wide(), "fc2"))


def test_a_transposed_layer_is_split_as_its_card_says() -> None:
    card = describe(made(Transposed), context().data_card, name="turned")
    split = LowRank(ratio=0.3).run(made(Transposed), context())
    shapes = {layer.name: layer.weight_shape for layer in LowRank(ratio=0.3).preview(card).layers}
    assert shapes == {name: tuple(weight(split, name).shape) for name in shapes}
    inputs, whole = calibration(vectors()).float(), made(Transposed)
    with torch.no_grad():
        gap = (split.turned(inputs) - whole.turned(inputs)).norm() / whole.turned(inputs).norm()
    assert gap < 0.5


def test_a_module_with_two_names_is_replaced_under_both_and_shared_weights_stay() -> None:
    split = LowRank(ratio=0.3).run(made(Tied), context(token_rows()))
    assert split.middle is split.again and isinstance(split.middle, nn.Sequential)
    assert split.head.weight is split.rows.weight and torch.equal(weight(split, "head"), weight(made(Tied), "head"))


def test_a_transformer_behind_named_inputs_is_split_as_previewed() -> None:
    data = replace(context(token_rows()).data_card, task="language-modelling", num_classes=32)
    part = TinyLm(width=16, heads=2, ffn=24, layers=1)
    model, preview = part.build(data).eval(), LowRank().preview(part.card(data))
    split = LowRank().run(model, context(token_rows()))
    for layer in preview.layers:
        assert tuple(weight(split, layer.name).shape) == layer.weight_shape
    assert preview.num_params == num_params(split)


def test_a_layer_whose_weight_is_read_by_other_code_is_refused_by_name() -> None:
    class Reading(nn.Module):
        def __init__(self, calls: bool) -> None:
            super().__init__()
            self.calls, self.fc = calls, nn.Linear(8, 8)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return nn.functional.linear(self.fc(pixels) if self.calls else pixels, self.fc.weight)

    with pytest.raises(WorkbenchError, match="fc is never called as a module") as told:
        LowRank().run(Reading(calls=False), context())
    assert told.value.next_move == "skip=fc"
    with pytest.raises(WorkbenchError, match="does not run with split layers"):
        LowRank().run(Reading(calls=True), context())


def test_conflicts_are_told_before_anything_runs() -> None:
    card = card_of(wide())
    assert LowRank().why_not(card) == []
    assert any("already int8 static" in reason for reason in LowRank().why_not(replace(card, precision="int8 static")))
    pruned = card.with_layers(tuple(replace(layer, density=0.5) for layer in card.layers))
    assert any("zeros of fc1, fc2, fc3 would be lost" in reason for reason in LowRank().why_not(pruned))
    assert any("no linear layer" in r for r in LowRank(skip=["fc1", "fc2", "fc3"]).why_not(card))
    assert any("no layer 'fc9'" in reason for reason in LowRank(skip=["fc9"]).why_not(card))
    with pytest.raises(WorkbenchError, match="has 20"):
        LowRank(num_calibration=21).run(perceptron(), context())


def test_inputs_that_never_move_do_no_harm() -> None:
    splits, model = points(), wide()
    for part in (splits.train, splits.calibration):
        part.inputs["pixels"][:, :4] = 0.0
    model.fc1.bias.data.fill_(-1e6)  # nothing but zeros reaches fc2
    split = LowRank().run(model, context(splits))
    assert all(parameter.isfinite().all() for parameter in split.parameters())
    plain = LowRank(activation_aware=False).run(copy.deepcopy(wide()), context(points()))
    torch.testing.assert_close(product(split, "fc2"), product(plain, "fc2"))


@pytest.mark.parametrize("format_name", ["onnx", "pt2"])
def test_a_saved_model_gives_back_both_factors_by_name_and_is_smaller(format_name: str, tmp_path: Path) -> None:
    store, sizes = Store(tmp_path), []
    for steps in ([], [{"use": "low_rank", "ratio": 0.6}]):
        record = {"model": {"use": "lenet_300_100"}, "data": "digits", "format": format_name}
        job = Job.from_json({**record, "steps": [{"use": "train", "epochs": 1}, *steps], "metrics": ["size"]})
        run = carried_out_here(job, store)
        sizes.append(run.get("artifact_bytes").value)  # type: ignore[union-attr]
    shapes = {
        name: array.shape
        for name, array in job.format.weights(Path(read(Path(run.folder) / "artifact").folder)).items()
    }
    assert shapes["fc1.0"] == (21, 64) and shapes["fc1.1"] == (300, 21) and "fc1" not in shapes
    assert sizes[1] < 0.55 * sizes[0]
