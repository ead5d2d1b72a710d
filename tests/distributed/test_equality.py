"""Every layout trains what one process trains: in float64, update by update."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.distributed.training import BATCH, DATA, LM, RESNET, VIT, Told, change, together, train
from workbench import catalog
from workbench.layout import _blocks

TOLERANCE = 1e-10
SMALL = {"use": "lenet_300_100", "hidden_1": 16, "hidden_2": 8}
STEPS: dict[str, Any] = {
    "qat": {
        "model": RESNET, "layout": {"use": "data_parallel"},
        "step": {"use": "qat", "epochs": 1, "batch_size": 16, "per_channel": False},
    },
    "qat_learned": {
        "model": VIT, "layout": {"use": "data_parallel"},
        "step": {"use": "qat", "epochs": 1, "batch_size": 16, "ranges": "learned"},
    },
    "distill": {
        "model": VIT, "layout": {"use": "sharded"},
        "step": {"use": "distill", "student": SMALL, "epochs": 1, "batch_size": 16, "generations": 2},
    },
}  # fmt: skip
TWO_STAGES = {"pipeline": 2, "microbatches": 4}
CASES: dict[int, dict[str, Any]] = {
    2: {
        "data_parallel": {"model": LM, "layout": {"use": "data_parallel"}},
        "data_parallel_accumulated": {"model": VIT, "layout": {"use": "data_parallel", "accumulate": 3}},
        "batch_norm": {"model": RESNET, "layout": {"use": "data_parallel"}},
        "batch_norm_sharded": {"model": RESNET, "layout": {"use": "sharded"}},
    },
    4: {
        "hybrid_sharded": {"model": VIT, "layout": {"use": "sharded", "replicate": 2, "recompute": True}},
        "tensor_of_sequences": {"model": LM, "layout": {"use": "tensor", "sequence_parallel": True}},
        "sharded_tensor": {"model": VIT, "layout": {"use": "hybrid", "shard": 2, "tensor": 2}},
        "interleaved": {
            "model": LM,
            "layout": {
                "use": "hybrid",
                "shard": 2,
                **TWO_STAGES,
                "schedule": "Interleaved1F1B",
                "stages_per_process": 2,
            },
        },
    },
    8: {
        "three_axes": {"model": VIT, "layout": {"use": "hybrid", "shard": 2, "tensor": 2, **TWO_STAGES}},
        "replicated_tensor_pipeline": {
            "model": LM,
            "layout": {
                "use": "hybrid",
                "shard": 2,
                "tensor": 2,
                **TWO_STAGES,
                "schedule": "GPipe",
                "sequence_parallel": True,
            },
        },
    },
}
EVERY = [(processes, name) for processes, cases in CASES.items() for name in cases]


@pytest.fixture(scope="module")
def alone() -> dict[str, Told]:
    """What one process trains, by model."""
    return {model["use"]: train({"model": model}) for model in (LM, VIT, RESNET)}


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, str], Told]:
    """What processes train together: one set of them per number, for all layouts in turn."""
    found = {}
    for processes, cases in CASES.items():
        cases = {**cases, **STEPS} if processes == 2 else cases
        told = together(cases, tmp_path_factory.mktemp("spread"), processes=processes)
        found |= {(processes, name): each for name, each in told.items()}
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "name"), EVERY, ids=[name for _, name in EVERY])
def test_a_layout_trains_what_one_process_trains(
    processes: int, name: str, alone: dict[str, Told], spread: dict[tuple[int, str], Told]
) -> None:
    one, many = alone[CASES[processes][name]["model"]["use"]], spread[processes, name]
    assert len(one.losses) == len(many.losses) == 6
    assert np.abs(np.array(one.losses) - np.array(many.losses)).max() <= TOLERANCE
    assert one.weights.keys() == many.weights.keys()
    assert max(np.abs(one.weights[key] - many.weights[key]).max() for key in one.weights) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_trains_in_a_way_of_its_own_is_spread_as_well(
    name: str, spread: dict[tuple[int, str], Told]
) -> None:
    one, many = change(STEPS[name]), spread[2, name]
    assert len(one.losses) == len(many.losses) == (18 if name == "distill" else 6)
    assert np.abs(np.array(one.losses) - np.array(many.losses)).max() <= TOLERANCE
    assert one.weights.keys() == many.weights.keys()
    assert max(np.abs(one.weights[key] - many.weights[key]).max() for key in one.weights) <= TOLERANCE


SHARE = {"sharded_tensor": 4, "hybrid_sharded": 2, "three_axes": 8, "data_parallel": 1}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHARE)
def test_state_per_process_is_what_theory_says(name: str, spread: dict[tuple[int, str], Told]) -> None:
    """Within 2 % of parameters × 16 bytes (32 in float64) by the axes; what isn't split is counted where it lies."""
    processes, case = next((size, cases[name]) for size, cases in CASES.items() if name in cases)
    told, layout = spread[processes, name], case["layout"]
    sizes = {key: array.nbytes for key, array in told.weights.items()}
    ways, split = (
        layout.get("tensor", 1),
        tuple(f".{each}.weight" for plan in _blocks.PLANS for each in (*plan.columns, *plan.rows)),
    )
    by_tensor = {key: size / ways if key.endswith(split) else size for key, size in sizes.items()}
    stages = layout.get("pipeline", 1)
    assert len(told.state_bytes) == processes
    found = sum(told.state_bytes) / len(told.state_bytes)
    expected = 4 * sum(by_tensor.values()) / stages / (SHARE[name] / ways / stages)
    assert found == pytest.approx(expected, rel=0.02)
    planned: Any = catalog.make("layout", layout)
    data: Any = catalog.make("data", DATA[case["model"]["use"]])
    model: Any = catalog.make("zoo", case["model"])
    ranks = planned.rank_bytes(model.card(data.card()), num_processes=processes, batch_size=BATCH, optimizer="adamw")
    told_before = [2 * (parts["parameters"] + parts["gradients"] + parts["optimizer"]) for parts in ranks]  # float64
    assert told.state_bytes == pytest.approx(told_before, rel=0.02)


def test_the_comparison_would_see_a_lost_example(alone: dict[str, Told]) -> None:
    without_one = train({"model": VIT, "options": {"batch_size": 15}})
    assert np.abs(np.array(alone["vit"].losses) - np.array(without_one.losses)).max() > 1e-4
