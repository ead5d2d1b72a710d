"""N:M pruning keeps the N largest of every M neighbouring inputs of an output."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.methods._context import card_of, context, images, perceptron, token_rows
from tests.methods._layers import Convolutional, Tied, Transposed, made, weight
from workbench.compress.n_m_prune import NMPrune
from workbench.errors import InvalidInput, WorkbenchError
from workbench.zoo._describe import card_of as describe


@pytest.mark.parametrize(("keep", "group_size"), [(2, 4), (1, 4), (4, 8), (3, 4)])
def test_the_largest_of_each_group_stay_and_the_others_go(keep: int, group_size: int) -> None:
    before = weight(perceptron(), "fc2")
    pruned = weight(NMPrune(keep=keep, group_size=group_size).run(perceptron(), context()), "fc2")
    for old, new in zip(before.reshape(-1, group_size), pruned.reshape(-1, group_size)):
        largest = old.abs().argsort(descending=True)[:keep]
        assert set(new.nonzero().flatten().tolist()) == set(largest.tolist())
        assert torch.equal(new[largest], old[largest])


def test_equal_weights_lose_exactly_as_many_as_asked() -> None:
    model = perceptron()
    model.fc1.weight.data.fill_(0.25)
    assert (weight(NMPrune().run(model, context()), "fc1") != 0).reshape(-1, 4).sum(1).eq(2).all()


def test_groups_of_a_convolution_run_over_channels_height_and_width_of_one_output() -> None:
    before, pruned = made(Convolutional), NMPrune().run(made(Convolutional), context(images()))
    rows = weight(pruned, "conv2").flatten(1)  # 4 channels × 3 × 3
    assert (rows != 0).reshape(8, 9, 4).sum(2).eq(2).all()
    kept = rows != 0
    assert torch.equal(rows[kept], weight(before, "conv2").flatten(1)[kept])


def test_a_layer_that_does_not_divide_stays_whole_and_is_named() -> None:
    ctx = context(images())
    pruned = NMPrune().run(made(Convolutional), ctx)
    assert torch.equal(weight(pruned, "conv1"), weight(made(Convolutional), "conv1"))  # 9 weights per output
    assert any("conv1 (9 weights per output)" in line for line in ctx.recorder.lines)  # type: ignore[attr-defined]


def test_a_model_in_which_no_layer_divides_is_refused_before_and_while_running() -> None:
    step = NMPrune(keep=2, group_size=7)
    assert any("multiple of 7: fc1 8" in reason for reason in step.why_not(card_of(perceptron())))
    with pytest.raises(WorkbenchError, match="no layer to cut into groups of 7"):
        step.run(perceptron(), context())


def test_a_transposed_layer_is_grouped_along_its_inputs_and_its_card_says_the_same() -> None:
    model = made(Transposed)
    card = describe(model, context().data_card, name="turned")
    step = NMPrune(keep=4, group_size=8)  # 8 inputs, 12 outputs: only the inputs divide
    assert [layer.density for layer in step.preview(card).layers] == [0.5, 1.0]
    pruned = step.run(model, context())
    assert (weight(pruned, "turned") != 0).sum(0).eq(4).all()
    assert torch.equal(weight(pruned, "fc"), weight(made(Transposed), "fc"))


def test_the_preview_tells_the_density_that_comes_out() -> None:
    model = made(Convolutional)
    preview = NMPrune(keep=1).preview(card_of(model, images()))
    pruned = NMPrune(keep=1).run(model, context(images()))
    assert any(layer.density == pytest.approx(0.25) for layer in preview.layers)
    for layer in preview.layers:
        assert float((weight(pruned, layer.name) != 0).float().mean()) == pytest.approx(layer.density)


def test_skipped_layers_biases_and_shared_weights_keep_their_values() -> None:
    before, pruned = perceptron(), NMPrune(skip=["fc1"]).run(perceptron(), context())
    assert torch.equal(pruned.fc1.weight, before.fc1.weight)
    assert all(torch.equal(pruned.get_submodule(n).bias, before.get_submodule(n).bias) for n in ("fc1", "fc2", "fc3"))
    tied = NMPrune().run(made(Tied), context(token_rows()))
    assert tied.head.weight is tied.rows.weight and tied.again is tied.middle
    assert torch.equal(weight(tied, "head"), weight(made(Tied), "head"))
    assert float((weight(tied, "middle") == 0).float().mean()) == 0.5


def test_training_afterwards_keeps_the_pattern() -> None:
    ctx = context()
    pruned = NMPrune().run(perceptron(), ctx)
    ctx.train(pruned, epochs=2)
    assert (weight(pruned, "fc2") != 0).reshape(-1, 4).sum(1).le(2).all()


def test_what_would_change_nothing_raises() -> None:
    with pytest.raises(WorkbenchError, match="no further weight"):
        NMPrune().run(NMPrune().run(perceptron(), context()), context())
    step = NMPrune(keep=4, group_size=4)
    assert any("removes nothing" in reason for reason in step.why_not(card_of(perceptron())))
    with pytest.raises(InvalidInput, match="removes nothing"):
        step.run(perceptron(), context())


def test_nan_weights_and_stored_integers_are_refused_in_words() -> None:
    model = perceptron()
    model.fc2.weight.data[0, 0] = float("nan")
    with pytest.raises(WorkbenchError, match="fc2 holds NaN"):
        NMPrune().run(model, context())
    stored = replace(card_of(perceptron()), precision="int8 static")
    assert any("already int8 static" in reason for reason in NMPrune().why_not(stored))
    assert any("no layer 'fc9'" in reason for reason in NMPrune(skip=["fc9"]).why_not(card_of(perceptron())))
