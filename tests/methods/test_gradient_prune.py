"""Gradient pruning ranks by the loss's gradient over a whole split."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.methods._context import Perceptron, card_of, context, perceptron, token_rows, vectors
from workbench.compress.gradient_prune import GradientPrune
from workbench.errors import InvalidInput, WorkbenchError
from workbench.nouns import Splits


def gradients(model: Perceptron, split: str = "train", splits: Splits | None = None) -> dict[str, torch.Tensor]:
    """The gradient of the mean loss over a whole split in one batch, by layer."""
    examples = getattr(context(splits).data, split)
    loss = cross_entropy(model(torch.from_numpy(examples.inputs["pixels"])), torch.from_numpy(examples.targets))
    layers = ("fc1", "fc2", "fc3")
    return dict(zip(layers, torch.autograd.grad(loss, [model.get_submodule(layer).weight for layer in layers])))


def weight(model: torch.nn.Module, layer: str) -> torch.Tensor:
    return model.get_submodule(layer).weight.detach()


@pytest.mark.parametrize("saliency", ["gradient", "gradient_x_weight"])
def test_what_goes_is_what_a_whole_split_gradient_ranks_lowest(saliency: str) -> None:
    model, several_batches = perceptron(), vectors(sizes=(150, 24, 20, 24))
    by_hand = gradients(model, splits=several_batches)
    if saliency == "gradient_x_weight":
        by_hand = {layer: gradient * weight(model, layer) for layer, gradient in by_hand.items()}
    pruned = GradientPrune(sparsity=0.25, saliency=saliency).run(model, context(several_batches))
    for layer, score in by_hand.items():
        gone = weight(pruned, layer) == 0
        assert int(gone.sum()) == int(0.25 * gone.numel())
        assert score.abs()[gone].max() <= score.abs()[~gone].min()


def test_a_threshold_is_a_share_of_the_layers_largest_gradient() -> None:
    model = perceptron()
    by_hand = gradients(model)
    pruned = GradientPrune(threshold=0.1).run(model, context())
    for layer, gradient in by_hand.items():
        expected = gradient.abs() / gradient.abs().max() <= 0.1
        assert expected.any() and not expected.all()
        assert torch.equal(weight(pruned, layer) == 0, expected)


def test_the_calibration_split_can_give_the_gradient() -> None:
    by_hand = gradients(perceptron(), "calibration")["fc1"].abs()
    gone = weight(GradientPrune(sparsity=0.5, split="calibration").run(perceptron(), context()), "fc1") == 0
    assert by_hand[gone].max() <= by_hand[~gone].min()


def test_over_the_model_the_share_is_met_in_sum_and_layers_differ() -> None:
    pruned = GradientPrune(sparsity=0.5, scope="model").run(perceptron(), context())
    zeros = [weight(pruned, layer) == 0 for layer in ("fc1", "fc2", "fc3")]
    total = sum(each.numel() for each in zeros)
    assert sum(int(each.sum()) for each in zeros) == total // 2
    assert len({round(float(each.float().mean()), 2) for each in zeros}) > 1


def test_weights_that_are_zero_already_count_towards_the_share() -> None:
    model = perceptron()
    with torch.no_grad():
        model.fc2.weight[:4] = 0.0
    pruned = GradientPrune(sparsity=0.5).run(model, context())
    assert int((pruned.fc2.weight == 0).sum()) == pruned.fc2.weight.numel() // 2
    assert bool((pruned.fc2.weight[:4] == 0).all())


def test_a_skipped_layer_and_all_biases_keep_their_values() -> None:
    model, before = perceptron(), perceptron()
    pruned = GradientPrune(sparsity=0.9, skip=["fc2"]).run(model, context())
    assert torch.equal(pruned.fc2.weight, before.fc2.weight)
    assert all(
        torch.equal(a, b) for (n, a), (_, b) in zip(model.named_parameters(), before.named_parameters()) if "bias" in n
    )
    assert not torch.equal(pruned.fc1.weight, before.fc1.weight)


def test_two_runs_agree_bit_for_bit_and_leave_no_gradients() -> None:
    one, two = (GradientPrune(sparsity=0.5).run(perceptron(), context()) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters()))
    assert all(parameter.grad is None for parameter in one.parameters())


def test_running_statistics_and_dropout_do_not_take_part() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(8, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 3)
    )
    model.forward = lambda pixels: torch.nn.Sequential.forward(model, pixels)  # type: ignore[method-assign,assignment]
    before = model[1].running_mean.clone()
    GradientPrune(sparsity=0.5).run(model.train(), context())
    assert torch.equal(model[1].running_mean, before)


def test_ignored_tokens_carry_no_gradient() -> None:
    """Only the last position of each row is ignored: what stands there must not matter."""
    splits = token_rows()
    changed = token_rows()
    changed.train.inputs["tokens"][:, -1] = (splits.train.inputs["tokens"][:, -1] + 1) % 32

    class Bigram(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows, self.head = torch.nn.Embedding(32, 8), torch.nn.Linear(8, 32)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.head(self.rows(tokens))

    def pruned(data: object) -> Bigram:
        torch.manual_seed(0)
        return GradientPrune(sparsity=0.5).run(Bigram(), context(data))  # type: ignore[arg-type,return-value]

    one, two = pruned(splits), pruned(changed)
    assert torch.equal(one.head.weight, two.head.weight)
    torch.manual_seed(0)
    assert torch.equal(one.rows.weight, Bigram().rows.weight), "embeddings are left alone"


@pytest.mark.parametrize(("given", "word"), [({}, "neither"), ({"sparsity": 0.5, "threshold": 0.1}, "both")])
def test_exactly_one_of_sparsity_and_threshold_is_wanted(given: dict[str, float], word: str) -> None:
    step = GradientPrune(**given)
    assert any(word in reason for reason in step.why_not(card_of(perceptron())))
    with pytest.raises(InvalidInput, match="exactly one"):
        step.run(perceptron(), context())


def test_nothing_left_to_zero_raises() -> None:
    model = GradientPrune(sparsity=0.5).run(perceptron(), context())
    with pytest.raises(WorkbenchError, match="no further weight"):
        GradientPrune(sparsity=0.3).run(model, context())


def test_a_loss_that_is_not_a_number_is_told() -> None:
    model = perceptron()
    with torch.no_grad():
        model.fc1.weight[0, 0] = np.nan
    with pytest.raises(WorkbenchError, match="loss is nan"):
        GradientPrune(sparsity=0.5).run(model, context())


def test_the_card_is_told_the_density_or_that_it_is_unknown() -> None:
    card = card_of(perceptron())
    assert [layer.density for layer in GradientPrune(sparsity=0.8).preview(card).layers] == pytest.approx([0.2] * 3)
    assert any("threshold" in note for note in GradientPrune(threshold=0.1).preview(card).notes)
    assert "no layer 'fc9'" in " ".join(GradientPrune(sparsity=0.5, skip=["fc9"]).why_not(card))
    assert any(
        "labels" in reason for reason in GradientPrune(sparsity=0.5).why_not(card_of(perceptron(), task="unlabelled"))
    )
