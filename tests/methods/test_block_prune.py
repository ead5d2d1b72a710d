"""Block pruning sets whole blocks to zero, the weakest ones, and only an entropy coder is the better for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.methods._context import card_of, context, images, perceptron, token_rows
from tests.methods._layers import Convolutional, Tied, Transposed, made, weight
from tests.promises._every import carried_out_here, small_job
from workbench.artifact import read
from workbench.compress.block_prune import BlockPrune
from workbench.compress.magnitude_prune import MagnitudePrune
from workbench.errors import WorkbenchError
from workbench.estimate import ZEROS, estimate
from workbench.store import Store


def blocks(matrix: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    return matrix.unfold(0, rows, rows).unfold(1, columns, columns).flatten(2)


@pytest.mark.parametrize(("rows", "columns"), [(1, 8), (4, 4), (16, 1)])
def test_the_weakest_blocks_go_whole_and_the_others_stay(rows: int, columns: int) -> None:
    before = blocks(weight(perceptron(), "fc2"), rows, columns)
    after = blocks(weight(BlockPrune(rows=rows, columns=columns).run(perceptron(), context()), "fc2"), rows, columns)
    gone = (after == 0).all(-1)
    assert torch.equal(gone, (after == 0).any(-1)) and int(gone.sum()) == gone.numel() // 2
    assert torch.equal(after[~gone], before[~gone])
    strength = before.abs().mean(-1)
    assert strength[gone].max() <= strength[~gone].min()


def test_a_block_at_the_edge_is_judged_by_the_weights_that_it_has() -> None:
    """16 outputs in blocks of 6: the last one has 4 rows, and is the strongest here."""
    model = perceptron()
    model.fc2.weight.data.fill_(0.1)
    model.fc2.weight.data[12:] = 0.2
    kept = weight(BlockPrune(sparsity=0.7, rows=6, columns=16).run(model, context()), "fc2")
    assert (kept[12:] == 0.2).all() and (kept[:12] == 0).all()


def test_a_convolution_a_turned_layer_and_shared_weights() -> None:
    conv = weight(BlockPrune(rows=1, columns=9).run(made(Convolutional), context(images())), "conv2").flatten(2)
    assert ((conv == 0).all(-1) == (conv == 0).any(-1)).all(), "nine weights are one kernel of three by three"
    turned = weight(BlockPrune(rows=1, columns=8).run(made(Transposed), context()), "turned")
    assert ((turned == 0).all(0) == (turned == 0).any(0)).all(), "stored as inputs × outputs"
    tied = BlockPrune(rows=1, columns=4).run(made(Tied), context(token_rows()))
    assert torch.equal(weight(tied, "head"), weight(made(Tied), "head")), "an embedding's weight stays whole"


def test_the_preview_tells_the_density_that_comes_out() -> None:
    step = BlockPrune(sparsity=0.4, rows=2, columns=4)
    pruned = step.run(perceptron(), context())
    layers = step.preview(card_of(perceptron())).layers
    assert {layer.name for layer in layers} >= {"fc1", "fc2", "fc3"}
    for layer in layers:
        found = float((weight(pruned, layer.name) != 0).float().mean())
        assert found == pytest.approx(layer.density, abs=0.08), layer.name  # fc3's last block is half as high


def test_training_afterwards_keeps_the_blocks() -> None:
    ctx = context()
    pruned = BlockPrune(rows=4, columns=4).run(perceptron(), ctx)
    gone = weight(pruned, "fc2") == 0
    ctx.train(pruned, epochs=2)
    assert (weight(pruned, "fc2")[gone] == 0).all()


def test_what_would_change_nothing_is_refused() -> None:
    card = card_of(perceptron())
    assert any("enough blocks" in reason for reason in BlockPrune(rows=512, columns=512).why_not(card))
    assert any("are magnitude_prune" in reason for reason in BlockPrune(rows=1, columns=1).why_not(card))
    with pytest.raises(WorkbenchError, match="no further weight"):
        BlockPrune().run(BlockPrune().run(perceptron(), context()), context())
    broken = perceptron()
    broken.fc1.weight.data[0, 0] = float("nan")
    with pytest.raises(WorkbenchError, match="fc1 holds NaN"):
        BlockPrune().run(broken, context())


def test_single_weights_keep_more_of_a_layer_than_blocks_do() -> None:
    """The finer the grain, the more magnitude stays at one sparsity (the paper's figure 3, before training)."""
    left = {}
    for name, step in (
        ("single", MagnitudePrune(sparsity=0.5)),
        ("block", BlockPrune(sparsity=0.5, rows=1, columns=4)),
        ("large", BlockPrune(sparsity=0.5, rows=4, columns=4)),
    ):
        left[name] = float(weight(step.run(perceptron(), context()), "fc2").abs().sum())
    assert left["single"] > left["block"] > left["large"]


@pytest.fixture(scope="module")
def runs(shared_store: Store) -> dict[str, Any]:
    steps = {
        "single": {"use": "magnitude_prune", "sparsity": 0.8},
        "block": {"use": "block_prune", "sparsity": 0.8, "rows": 4, "columns": 4},
    }
    jobs = {
        (name, format_name): small_job(
            step,
            {"use": "train", "epochs": 2},
            model={"use": "lenet_300_100"},
            format=format_name,
            metrics=["size", "quality"],
        )
        for name, step in steps.items()
        for format_name in ("coded", "onnx")
    }
    return {place: (job, carried_out_here(job, shared_store)) for place, job in jobs.items()}


def test_positions_cost_less_in_blocks_and_dense_files_stay_as_they_are(runs: dict[Any, Any]) -> None:
    """The paper's point: at one sparsity an index of blocks is far smaller. Of dense files nothing changes."""
    size = {place: run.get("artifact_bytes").value for place, (_, run) in runs.items()}
    assert all(run.status == "done" for _, run in runs.values())
    positions = {
        name: read(Path(runs[name, "coded"][1].folder) / "artifact").card["precision"]["bytes_by_part"]["positions"]
        for name in ("block", "single")
    }
    assert positions["block"] < 0.65 * positions["single"] and size["block", "coded"] < size["single", "coded"]
    assert size["block", "onnx"] == size["single", "onnx"]


def test_the_estimate_says_so_beforehand(runs: dict[Any, Any]) -> None:
    for (name, format_name), (job, run) in runs.items():
        found = estimate(job.cards(job.model.card(job.data.card())), format_name)[-1]
        low, high = (
            int(word.replace(",", "")) for word in found.notes[0].split("middle of ")[1].split(":")[0].split(" to ")
        )
        assert low <= run.get("artifact_bytes").value <= high, (name, format_name)
        assert (ZEROS in found.notes) == (format_name == "onnx")
