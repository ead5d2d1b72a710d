"""SparseGPT corrects the weights that stay: a layer's outputs move less than with pruning alone."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from tests.methods._context import card_of, context, images, perceptron, token_rows, vectors
from tests.methods._layers import Convolutional, Tied, Transposed, made, weight
from workbench import catalog
from workbench.compress.magnitude_prune import MagnitudePrune
from workbench.compress.sparse_gpt import SparseGpt
from workbench.compress.wanda import Wanda
from workbench.errors import InvalidInput, WorkbenchError
from workbench.nouns import Splits
from workbench.part import Data, Model, Step
from workbench.train import predict


def dependent(width: int = 32) -> Splits:
    """Points whose coordinates hang together, as activations do."""
    mixing = torch.randn(width, width, generator=torch.Generator().manual_seed(1)).numpy() / width**0.5
    splits = vectors(width=width, sizes=(96, 24, 200, 24))
    for part in (splits.train, splits.validation, splits.calibration, splits.test):
        part.inputs["pixels"] += 2 * part.inputs["pixels"] @ mixing
    return splits


def calibration(splits: Splits) -> torch.Tensor:
    return torch.from_numpy(splits.calibration.inputs["pixels"])


def wide() -> Any:
    return perceptron(widths=(32, 48, 16, 3))


def column_by_column(rows: torch.Tensor, hessian: torch.Tensor, share: float) -> torch.Tensor:
    """The paper's algorithm without its shortcuts: invert what is left of H anew for each column."""
    rows, num_columns = rows.double().clone(), rows.shape[1]
    inverses = [torch.linalg.inv(hessian[column:, column:]) for column in range(num_columns)]
    scores = rows.square() / torch.stack([inverse[0, 0] for inverse in inverses])
    gone = torch.zeros_like(rows, dtype=torch.bool)
    gone.view(-1)[scores.flatten().argsort()[: int(share * scores.numel())]] = True
    for column, inverse in enumerate(inverses):
        for row in gone[:, column].nonzero().flatten():
            rows[row, column:] -= rows[row, column] / inverse[0, 0] * inverse[:, 0]
            rows[row, column] = 0.0
    return rows


@pytest.mark.parametrize("sparsity", [0.4, 0.6])
def test_it_is_the_papers_column_by_column_elimination(sparsity: float) -> None:
    splits, before = dependent(), weight(wide(), "fc1")
    hessian = calibration(splits).double().T @ calibration(splits).double()
    hessian += 0.01 * hessian.diagonal().mean() * torch.eye(32, dtype=torch.float64)
    expected = column_by_column(before, hessian, sparsity)
    pruned = weight(SparseGpt(sparsity=sparsity).run(wide(), context(splits)), "fc1")
    assert torch.equal(pruned == 0, expected == 0)
    torch.testing.assert_close(pruned, expected.float())


def test_blocks_put_off_the_same_corrections() -> None:
    """With N:M each mask is chosen on corrected weights, so the size of the blocks must not matter."""
    small, large = (SparseGpt(pattern="2:4", block_size=size).run(wide(), context(dependent())) for size in (4, 128))
    for layer in ("fc1", "fc2", "fc3"):
        torch.testing.assert_close(weight(small, layer), weight(large, layer))
        assert (weight(small, layer) == 0).reshape(-1, 4).sum(1).eq(2).all()


def test_each_block_loses_exactly_its_share_over_all_outputs() -> None:
    pruned = weight(SparseGpt(sparsity=0.6, block_size=8).run(wide(), context(dependent())), "fc1") == 0
    assert [int(block.sum()) for block in pruned.split(8, dim=1)] == [int(0.6 * 48 * 8)] * 4
    assert len(set(pruned.sum(1).tolist())) > 1, "outputs may differ"


@pytest.mark.parametrize("change", [{"sparsity": 0.5}, {"sparsity": 0.6}, {"pattern": "2:4"}], ids=str)
def test_a_linear_layers_outputs_move_less_than_with_wanda_or_magnitude(change: dict[str, Any]) -> None:
    splits, before = dependent(), weight(wide(), "fc1")
    rivals: list[Step] = [SparseGpt(**change), Wanda(**change), MagnitudePrune(sparsity=change.get("sparsity", 0.5))]
    errors = []
    for step in rivals:
        moved = weight(step.run(wide(), context(splits)), "fc1") - before
        errors.append(float((calibration(splits) @ moved.T).square().sum()))
    assert errors[0] < 0.9 * errors[1] and errors[0] < 0.9 * errors[2]


@pytest.mark.parametrize("sparsity", [0.5, 0.6])
def test_a_grouped_convolutions_outputs_move_less_too(sparsity: float) -> None:
    splits, before, errors = images(size=64), made(Convolutional), []
    with torch.no_grad():
        maps = before.conv1(calibration(splits)).relu()
        for step in (SparseGpt(sparsity=sparsity), Wanda(sparsity=sparsity), MagnitudePrune(sparsity=sparsity)):
            only = type(step)(**{**step.model_dump(), "skip": ["conv1", "fc"]})
            pruned = only.run(made(Convolutional), context(splits))
            errors.append(float((pruned.conv2(maps) - before.conv2(maps)).square().sum()))
    assert errors[0] < 0.8 * errors[1] and errors[0] < 0.8 * errors[2]


@pytest.mark.parametrize(("name", "options"), [("lenet_300_100", {}), ("lenet_5", {"hidden": 64})])
def test_digits_are_read_no_worse_than_after_magnitude_pruning(name: str, options: dict[str, Any]) -> None:
    data = catalog.make("data", "digits")
    assert isinstance(data, Data)
    splits = data.load()
    ctx = replace(context(splits), data_card=data.card())

    torch.manual_seed(0)
    part = catalog.make("zoo", {"use": name, **options})
    assert isinstance(part, Model)
    model = part.build(data.card())
    ctx.train(model, epochs=12)

    def accuracy(changed: nn.Module) -> float:
        return float((predict(changed, splits.test).argmax(-1) == splits.test.targets).mean())

    steps: list[Step] = [SparseGpt(sparsity=0.6), MagnitudePrune(sparsity=0.6)]
    corrected, plain = (accuracy(step.run(copy.deepcopy(model), ctx)) for step in steps)
    assert corrected >= plain and corrected > accuracy(model) - 0.03


def test_what_is_zero_before_stays_zero_and_counts() -> None:
    model = wide()
    model.fc1.weight.data[:, ::4] = 0.0
    pruned = weight(SparseGpt(sparsity=0.5).run(model, context(dependent())), "fc1") == 0
    assert pruned[:, ::4].all() and int(pruned.sum()) == pruned.numel() // 2
    sparser = MagnitudePrune(sparsity=0.8).run(wide(), context())
    gone = weight(sparser, "fc1") == 0
    sparser.fc2.weight.data.fill_(1.0)
    again = SparseGpt(sparsity=0.5).run(sparser, context(dependent()))
    assert torch.equal(weight(again, "fc1") == 0, gone)


def test_later_layers_are_corrected_for_what_the_pruned_ones_before_give() -> None:
    splits, pruned = dependent(), SparseGpt(sparsity=0.5).run(wide(), context(dependent()))
    with torch.no_grad():
        hidden = pruned.fc1(calibration(splits)).relu()
    alone = nn.Sequential(nn.Linear(48, 16))
    alone[0].load_state_dict(wide().fc2.state_dict())
    alone.forward = lambda pixels: alone[0](pixels)  # type: ignore[method-assign,assignment]
    inputs = vectors(width=48, sizes=(48, 24, 200, 24))
    inputs.calibration.inputs["pixels"][:] = hidden.numpy()  # type: ignore[index]
    expected = SparseGpt(sparsity=0.5).run(alone, context(inputs))
    torch.testing.assert_close(weight(pruned, "fc2"), weight(expected, "0"))


def test_transposed_layers_and_shared_weights() -> None:
    splits = vectors(sizes=(48, 24, 100, 24))
    pruned, plain = (step.run(made(Transposed), context(splits)) for step in (SparseGpt(), Wanda()))
    errors = [float((calibration(splits) @ (weight(each, "turned") - weight(made(Transposed), "turned"))).norm())
              for each in (pruned, plain)]  # fmt: skip
    assert errors[0] < 0.8 * errors[1]
    tied = SparseGpt().run(made(Tied), context(token_rows()))
    assert tied.head.weight is tied.rows.weight and tied.again is tied.middle
    assert torch.equal(weight(tied, "head"), weight(made(Tied), "head"))
    assert float((weight(tied, "middle") == 0).float().mean()) == 0.5


def test_dead_inputs_go_first_and_harm_nothing() -> None:
    splits = dependent()
    for part in (splits.train, splits.calibration):
        part.inputs["pixels"][:, :8] = 0.0
    pruned = weight(SparseGpt(sparsity=0.5).run(wide(), context(splits)), "fc1")
    assert pruned.isfinite().all() and (pruned[:, :8] == 0).all() and int((pruned == 0).sum()) == pruned.numel() // 2


def test_inputs_that_cannot_be_inverted_are_told_with_the_next_move() -> None:
    with pytest.raises(WorkbenchError, match="damping=1e-30") as told:
        SparseGpt(damping=1e-30, num_calibration=2).run(wide(), context(dependent()))
    assert "raise damping" in told.value.next_move


def test_refusals_skips_and_nothing_to_do() -> None:
    card = card_of(perceptron())
    assert SparseGpt().why_not(card) == []
    assert {layer.density for layer in SparseGpt(sparsity=0.6).preview(card).layers} == {0.4}
    assert any("cuts groups" in reason for reason in SparseGpt(pattern="4:8", block_size=12).why_not(card))
    assert any("exactly 50%" in reason for reason in SparseGpt(pattern="4:8", sparsity=0.6).why_not(card))
    assert any("already int8" in reason for reason in SparseGpt().why_not(replace(card, precision="int8 dynamic")))
    with pytest.raises(InvalidInput, match="cuts groups"):
        SparseGpt(pattern="2:4", block_size=6).run(perceptron(), context())
    with pytest.raises(WorkbenchError, match="has 20"):
        SparseGpt(num_calibration=21).run(perceptron(), context())
    skipped = SparseGpt(skip=["fc1", "fc3"]).run(perceptron(), context())
    assert torch.equal(weight(skipped, "fc1"), weight(perceptron(), "fc1"))
    with pytest.raises(WorkbenchError, match="no further weight"):
        SparseGpt(skip=["fc1", "fc3"]).run(skipped, context())
