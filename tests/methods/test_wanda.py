"""Wanda ranks |weight| times the norm of its input within each output's row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.methods._context import card_of, context, images, perceptron, token_rows, vectors
from tests.methods._layers import Convolutional, Tied, Transposed, made, weight
from workbench.compress import _activations
from workbench.compress.magnitude_prune import MagnitudePrune
from workbench.compress.wanda import Wanda
from workbench.errors import InvalidInput, WorkbenchError
from workbench.nouns import DataCard, Splits
from workbench.zoo._describe import card_of as describe
from workbench.zoo.tiny_lm import TinyLm


def calibration(splits: Splits, name: str = "pixels") -> torch.Tensor:
    return torch.from_numpy(splits.calibration.inputs[name])


def unequal(scale: float = 50.0) -> Splits:
    """Points of which two coordinates are `scale` times as large as the others."""
    splits = vectors()
    for part in (splits.train, splits.validation, splits.calibration, splits.test):
        part.inputs["pixels"][:, [1, 6]] *= scale
    return splits


def lowest(scores: torch.Tensor, num: int) -> torch.Tensor:
    mask = torch.zeros_like(scores, dtype=torch.bool)
    for row, values in enumerate(scores):
        mask[row, values.argsort()[:num]] = True
    return mask


@pytest.mark.parametrize(("sparsity", "num"), [(0.5, 4), (0.3, 2)])
def test_each_output_loses_what_scores_lowest_in_its_row(sparsity: float, num: int) -> None:
    splits, before = unequal(5.0), weight(perceptron(), "fc1")
    expected = lowest(before.abs() * calibration(splits).norm(dim=0), num)
    pruned = weight(Wanda(sparsity=sparsity).run(perceptron(), context(splits)), "fc1")
    assert torch.equal(pruned == 0, expected)
    assert torch.equal(pruned[~expected], before[~expected]), "what stays is unchanged"
    assert not torch.equal(expected, lowest(before.abs(), num)), "magnitude would choose otherwise"


@pytest.mark.parametrize("pattern", ["2:4", "4:8"])
def test_patterns_rank_within_their_groups(pattern: Any) -> None:
    splits, size = unequal(5.0), int(pattern[-1])
    scores = (weight(perceptron(), "fc1").abs() * calibration(splits).norm(dim=0)).reshape(-1, size)
    pruned = weight(Wanda(pattern=pattern).run(perceptron(), context(splits)), "fc1")
    assert torch.equal((pruned == 0).reshape(-1, size), lowest(scores, size // 2))


def test_later_layers_are_ranked_on_what_the_pruned_ones_before_give() -> None:
    splits, whole = unequal(5.0), perceptron()
    pruned = Wanda().run(perceptron(), context(splits))
    with torch.no_grad():
        hidden, unpruned = (each.fc1(calibration(splits)).relu() for each in (pruned, whole))
    old = weight(whole, "fc2").abs()
    assert torch.equal(weight(pruned, "fc2") == 0, lowest(old * hidden.norm(dim=0), 8))
    assert not torch.equal(weight(pruned, "fc2") == 0, lowest(old * unpruned.norm(dim=0), 8))


def test_a_convolution_is_ranked_on_its_patches_group_by_group() -> None:
    """The norm of an input by hand: shift the padded image, one position of the kernel at a time."""
    model, splits = made(Convolutional), images()
    pruned = Wanda(sparsity=0.5).run(model, context(splits))
    with torch.no_grad():
        maps = nn.functional.pad(model.conv1(calibration(splits)).relu(), (1, 1, 1, 1))
    norms = torch.stack(
        [maps[:, :, y : y + 8, x : x + 8].square().sum((0, 2, 3)).sqrt() for y in range(3) for x in range(3)], dim=1
    )  # (channels, positions in the kernel)
    of_output = torch.stack([norms[:4].flatten()] * 4 + [norms[4:].flatten()] * 4)
    scores = weight(made(Convolutional), "conv2").flatten(1).abs() * of_output
    assert torch.equal(weight(pruned, "conv2").flatten(1) == 0, lowest(scores, 18))


@pytest.mark.parametrize(
    "options",
    [{"padding": 2, "stride": 2}, {"padding": "same", "dilation": 2}, {"padding": 1, "padding_mode": "circular"}],
)
def test_unfolded_inputs_times_rows_are_what_the_convolution_gives(options: dict[str, Any], monkeypatch: Any) -> None:
    torch.manual_seed(0)
    layer, inputs = nn.Conv2d(4, 6, (3, 2), groups=2, bias=False, **options), torch.randn(5, 4, 9, 7)
    monkeypatch.setattr(_activations, "LARGEST_PIECE", 2000)  # several pieces
    pieces = list(_activations._pieces(layer, inputs))
    outputs = torch.cat(pieces, dim=1) @ layer.weight.detach().flatten(1).unflatten(0, (2, 3)).mT
    expected = layer(inputs).detach().permute(1, 0, 2, 3).reshape(2, 3, -1).mT
    assert len(pieces) > 1
    torch.testing.assert_close(outputs, expected)


def test_outputs_move_less_than_with_magnitude_when_inputs_differ_in_size() -> None:
    splits, before = unequal(), perceptron()
    errors = {}
    for step in (Wanda(sparsity=0.5), MagnitudePrune(sparsity=0.5)):
        change = weight(step.run(perceptron(), context(splits)), "fc1") - weight(before, "fc1")
        errors[step.name()] = float((calibration(splits) @ change.T).norm())
    assert errors["wanda"] < 0.25 * errors["magnitude_prune"]


def test_a_transformer_behind_named_inputs_is_pruned_throughout() -> None:
    splits = token_rows()
    data = replace(context(splits).data_card, task="language-modelling", num_classes=32)
    assert isinstance(data, DataCard)
    part = TinyLm(width=16, heads=2, ffn=24, layers=1)
    model = part.build(data).eval()
    preview = Wanda().preview(part.card(data))
    pruned = Wanda().run(model, context(splits))
    for layer in preview.layers:
        if layer.prunable:
            assert (weight(pruned, layer.name) == 0).float().mean() == 1 - layer.density == 0.5, layer.name


def test_a_transposed_layer_is_ranked_per_output() -> None:
    splits, before = vectors(), made(Transposed)
    scores = weight(before, "turned").T.abs() * calibration(splits).norm(dim=0)
    pruned = Wanda().run(made(Transposed), context(splits))
    assert torch.equal(weight(pruned, "turned").T == 0, lowest(scores, 4))


def test_one_module_used_twice_is_ranked_on_both_uses_and_shared_weights_stay() -> None:
    splits, before = token_rows(), made(Tied)
    with torch.no_grad():
        first = before.rows(calibration(splits, "tokens"))
        seen = torch.cat([first, before.middle(first).relu()]).flatten(0, 1)
    pruned = Wanda().run(made(Tied), context(splits))
    assert torch.equal(weight(pruned, "middle") == 0, lowest(weight(before, "middle").abs() * seen.norm(dim=0), 4))
    assert pruned.head.weight is pruned.rows.weight and torch.equal(weight(pruned, "head"), weight(before, "head"))


def test_zeros_count_first_and_inputs_that_are_always_zero_go_before_others() -> None:
    splits, model = vectors(), perceptron()
    splits.calibration.inputs["pixels"][:, 3] = 0.0
    model.fc1.weight.data[:, 5:] = 0.0
    pruned = weight(Wanda().run(model, context(splits)), "fc1") == 0
    assert pruned.sum(1).eq(4).all() and pruned[:, [3, 5, 6, 7]].all()


def test_a_layer_that_sees_nothing_but_zeros_or_is_never_called_is_told_and_left() -> None:
    ctx, model = context(), perceptron()
    model.fc1.bias.data.fill_(-1e6)  # fc2 gets only zeros
    model.spare = nn.Linear(4, 4)
    pruned = Wanda().run(model, ctx)
    assert torch.equal(weight(pruned, "fc2"), weight(perceptron(), "fc2"))
    told = next(line for line in ctx.recorder.lines if "no inputs to read" in line)  # type: ignore[attr-defined]
    assert "fc2" in told and "spare" in told and "fc1" not in told


def test_hooks_are_gone_also_after_a_failure() -> None:
    model, splits = perceptron(), vectors()
    splits.calibration.inputs["pixels"][0, 0] = np.nan
    with pytest.raises(WorkbenchError, match="NaN or infinite values reach fc1"):
        Wanda().run(model, context(splits))
    Wanda().run(perceptron(), context())
    with pytest.raises(RuntimeError, match="shapes"):
        _activations.called(model, ["fc1"], vectors(width=5).calibration)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_only_the_first_examples_are_read_and_too_many_are_refused() -> None:
    splits = unequal(5.0)
    few = weight(Wanda(num_calibration=3).run(perceptron(), context(splits)), "fc1")
    scores = weight(perceptron(), "fc1").abs() * calibration(splits)[:3].norm(dim=0)
    assert torch.equal(few == 0, lowest(scores, 4))
    with pytest.raises(WorkbenchError, match=r"21 examples.*has 20.*num_calibration=20"):
        Wanda(num_calibration=21).run(perceptron(), context())


def test_refusals_are_words_before_anything_runs() -> None:
    card = card_of(perceptron())
    assert Wanda().why_not(card) == []
    assert any("exactly 50%" in reason for reason in Wanda(pattern="2:4", sparsity=0.7).why_not(card))
    assert any("already bfloat16" in reason for reason in Wanda().why_not(replace(card, precision="bfloat16")))
    odd = card_of(perceptron(widths=(6, 6, 6, 3)))
    assert any("multiple of 4" in reason for reason in Wanda(pattern="2:4").why_not(odd))
    model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(12, 3))
    model.forward = lambda pixels: nn.Sequential.forward(model, pixels[:, None])  # type: ignore[method-assign,assignment]
    only_conv1d = describe(model, context().data_card, name="drawn")
    assert any("two-dimensional" in reason for reason in Wanda(skip=["2"]).why_not(only_conv1d))
    assert [layer.density for layer in Wanda().preview(only_conv1d).layers] == [1.0, 0.5]
    with pytest.raises(InvalidInput, match="exactly 50%"):
        Wanda(pattern="4:8", sparsity=0.6).run(perceptron(), context())


def test_a_skipped_layer_stays_and_what_changes_nothing_raises() -> None:
    pruned = Wanda(skip=["fc2"]).run(perceptron(), context())
    assert torch.equal(weight(pruned, "fc2"), weight(perceptron(), "fc2"))
    with pytest.raises(WorkbenchError, match="no further weight"):
        Wanda(skip=["fc2"]).run(pruned, context())
