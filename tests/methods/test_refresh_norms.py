"""Statistics of batch normalisation are measured anew; nothing else moves."""

from __future__ import annotations

import copy

import pytest
import torch

from tests.methods._context import card_of, context, perceptron, vectors
from workbench.compress.magnitude_prune import MagnitudePrune
from workbench.compress.refresh_norms import RefreshNorms
from workbench.errors import WorkbenchError
from workbench.nouns import Splits


class Normalised(torch.nn.Module):
    """(N, 8) → (N, 3) with batch normalisation between."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = torch.nn.Linear(8, 16), torch.nn.BatchNorm1d(16), torch.nn.Linear(16, 3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.norm(self.first(pixels))))  # type: ignore[no-any-return]


def normalised() -> Normalised:
    torch.manual_seed(0)
    return Normalised().eval()


@pytest.mark.parametrize("num_examples", [20, 65])
def test_the_statistics_are_those_of_the_calibration_examples(num_examples: int) -> None:
    splits = vectors(sizes=(8, 8, num_examples, 8))
    before = normalised()
    after = RefreshNorms().run(copy.deepcopy(before), context(splits))
    used = torch.from_numpy(splits.calibration.inputs["pixels"])[:64]
    reached = before.first(used)
    assert torch.allclose(after.norm.running_mean, reached.mean(0), atol=1e-5)
    assert torch.allclose(after.norm.running_var, reached.var(0), rtol=1e-4)
    assert after.norm.momentum == before.norm.momentum and not after.training
    changed = {name for name, each in after.state_dict().items() if not torch.equal(each, before.state_dict()[name])}
    assert changed == {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}


def test_pruned_channels_are_centred_again() -> None:
    """The paper's point: after pruning the old statistics are of another network."""
    splits = vectors(sizes=(200, 400, 400, 8))
    model = normalised()
    context(splits).train(model, epochs=15)
    pruned = MagnitudePrune(sparsity=0.7, skip=["last"]).run(model, context(splits))
    inputs = torch.from_numpy(splits.validation.inputs["pixels"])

    def shift(network: Normalised) -> float:
        with torch.no_grad():
            return float((network.first(inputs).mean(0) - network.norm.running_mean).abs().mean())

    before = shift(pruned)
    assert shift(RefreshNorms().run(pruned, context(splits))) < 0.5 * before


def test_what_has_no_statistics_is_refused() -> None:
    assert any("no batch normalisation" in reason for reason in RefreshNorms().why_not(card_of(perceptron())))
    with pytest.raises(WorkbenchError, match="no normalisation with running statistics"):
        RefreshNorms().run(perceptron(), context())
    one = vectors().calibration.take(slice(0, 1))
    splits = Splits(one, one, one, one)
    with pytest.raises(WorkbenchError, match="two calibration examples"):
        RefreshNorms().run(normalised(), context(splits))
