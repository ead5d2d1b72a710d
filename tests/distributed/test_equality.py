"""Every layout trains what one process trains: in float64, update by update."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.distributed.training import LM, VIT, Told, together, train

TOLERANCE = 1e-10
CASES: dict[int, dict[str, Any]] = {
    2: {
        "data_parallel": {"model": LM, "layout": {"use": "data_parallel"}},
        "data_parallel_accumulated": {"model": VIT, "layout": {"use": "data_parallel", "accumulate": 3}},
    },
}
EVERY = [(processes, name) for processes, cases in CASES.items() for name in cases]


@pytest.fixture(scope="module")
def alone() -> dict[str, Told]:
    """What one process trains, by model."""
    return {model["use"]: train({"model": model}) for model in (LM, VIT)}


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, str], Told]:
    """What processes train together: one set of them per number, for all layouts in turn."""
    found = {}
    for processes, cases in CASES.items():
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


def test_the_comparison_would_see_a_lost_example(alone: dict[str, Told]) -> None:
    without_one = train({"model": VIT, "options": {"batch_size": 15}})
    assert np.abs(np.array(alone["vit"].losses) - np.array(without_one.losses)).max() > 1e-4
