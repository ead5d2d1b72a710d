"""Magnitude pruning zeroes the smallest weights, at once or in rounds."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.methods._context import context, perceptron
from workbench.compress.magnitude_prune import MagnitudePrune
from workbench.errors import WorkbenchError

LAYERS = ("fc1", "fc2", "fc3")


def zeros(model: torch.nn.Module) -> list[int]:
    return [int((model.get_submodule(layer).weight == 0).sum()) for layer in LAYERS]


def test_each_layer_loses_exactly_its_smallest_share() -> None:
    before = perceptron()
    pruned = MagnitudePrune(sparsity=0.75).run(perceptron(), context())
    for layer in LAYERS:
        old, gone = before.get_submodule(layer).weight.abs(), pruned.get_submodule(layer).weight == 0
        assert int(gone.sum()) == int(0.75 * gone.numel())
        assert old[gone].max() <= old[~gone].min()


def test_over_the_model_the_smallest_of_all_go() -> None:
    before = perceptron()
    pruned = MagnitudePrune(sparsity=0.5, scope="model").run(perceptron(), context())
    old = torch.cat([before.get_submodule(layer).weight.flatten().abs() for layer in LAYERS])
    gone = torch.cat([pruned.get_submodule(layer).weight.flatten() == 0 for layer in LAYERS])
    assert int(gone.sum()) == gone.numel() // 2
    assert old[gone].max() <= old[~gone].min()


def test_a_skipped_layer_and_biases_keep_their_values() -> None:
    before = perceptron()
    pruned = MagnitudePrune(sparsity=0.9, skip=["fc1"]).run(perceptron(), context())
    assert torch.equal(pruned.fc1.weight, before.fc1.weight)
    assert all(torch.equal(pruned.get_submodule(n).bias, before.get_submodule(n).bias) for n in LAYERS)


def test_rounds_follow_the_cubic_schedule() -> None:
    """s_t = s_n − (s_n − s_0)(1 − t/n)³ by hand for s_n = 0.8, n = 4, nothing zero before."""
    shares = MagnitudePrune(sparsity=0.8, rounds=4)._shares(1.0)
    assert shares == pytest.approx([0.8 - 0.8 * 0.421875, 0.8 - 0.8 * 0.125, 0.8 - 0.8 * 0.015625, 0.8])


def test_training_between_rounds_keeps_the_zeros_and_the_end_is_the_asked_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ctx, seen = context(), []
    train = ctx.train

    def watched(model: Any, **options: Any) -> dict[str, float]:
        before = sum(zeros(model))
        told = train(model, **options)
        seen.append((before, sum(zeros(model))))
        return told

    monkeypatch.setattr(ctx, "train", watched)
    before = perceptron()
    pruned = MagnitudePrune(sparsity=0.75, rounds=3, epochs_between=1).run(perceptron(), ctx)
    assert zeros(pruned) == [int(0.75 * pruned.get_submodule(layer).weight.numel()) for layer in LAYERS]
    assert len(seen) == 2 and seen[0][0] < seen[1][0]
    assert all(ended >= began for began, ended in seen)
    kept = pruned.fc1.weight != 0
    assert not torch.equal(pruned.fc1.weight[kept], before.fc1.weight[kept]), "nothing was trained between rounds"


def test_one_round_trains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = context()
    monkeypatch.setattr(ctx, "train", None)
    MagnitudePrune(sparsity=0.5).run(perceptron(), ctx)


def test_nothing_left_to_zero_raises() -> None:
    model = MagnitudePrune(sparsity=0.6).run(perceptron(), context())
    with pytest.raises(WorkbenchError, match="no further weight"):
        MagnitudePrune(sparsity=0.5, rounds=3).run(model, context())


def test_its_label_says_how_much_and_how_often() -> None:
    assert MagnitudePrune(sparsity=0.8).describe() == "prune 80%"
    assert "5 rounds" in MagnitudePrune(sparsity=0.8, rounds=5).describe()
