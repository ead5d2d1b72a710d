"""What a training leaves while it goes on: taken up under another layout, and never lost to a full disk."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.distributed.training import LM, Stopped, Told, together, train
from workbench import _checkpoints
from workbench.spread import Spread

TOLERANCE = 1e-10
TENSOR = {"use": "hybrid", "shard": 2, "tensor": 2}
HALF = {"model": LM, "layout": TENSOR, "every": 2, "stop_after": 5, "folder": "shared"}
OTHERS: dict[str, Any] = {
    "sharded": {"use": "sharded"},
    "pipeline": {"use": "hybrid", "pipeline": 2, "shard": 2, "microbatches": 2},
}
PIPELINE = OTHERS["pipeline"]
TWICE = {"epochs": 2}
BEFORE_A_SHORT_ONE = {
    "model": LM,
    "layout": PIPELINE,
    "options": TWICE,
    "folder": "short",
}  # of 10 examples instead of 16


@pytest.fixture(scope="module")
def whole() -> Told:
    return train({"model": LM})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def resumed(folder: Path) -> dict[str, Told]:
    """A training under shards × tensors that stops after its fifth update, and others that go on where it stood."""
    cases = {"half": HALF} | {
        name: {"model": LM, "layout": layout, "folder": "shared"} for name, layout in OTHERS.items()
    }
    cases |= {"half of two": {**BEFORE_A_SHORT_ONE, "every": 5, "stop_after": 5}, "rest of two": BEFORE_A_SHORT_ONE}
    return together(cases, folder, processes=4)


@pytest.mark.slow
def test_the_newest_complete_checkpoint_is_two_updates_after_the_one_before(
    resumed: dict[str, Told], folder: Path
) -> None:
    assert len(resumed["half"].losses) == 5
    assert sorted(path.name for path in (folder / "shared").iterdir()) == ["update-00000002", "update-00000004"]


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_it_goes_on_under_another_layout(name: str, resumed: dict[str, Told], whole: Told) -> None:
    assert np.abs(np.array(resumed[name].losses) - np.array(whole.losses[4:])).max() <= TOLERANCE
    assert max(np.abs(whole.weights[key] - resumed[name].weights[key]).max() for key in whole.weights) <= TOLERANCE


@pytest.mark.slow
def test_a_pipeline_goes_on_with_a_short_update_and_takes_whole_ones_after_it(resumed: dict[str, Told]) -> None:
    """Its shapes are fixed by the first update that it sees."""
    alone = train({"model": LM, "options": TWICE}).losses
    assert len(resumed["rest of two"].losses) == len(alone) - 5
    assert np.abs(np.array(resumed["rest of two"].losses) - np.array(alone[5:])).max() <= TOLERANCE


@pytest.mark.slow
def test_one_process_goes_on_with_what_four_have_left(resumed: dict[str, Told], folder: Path, whole: Told) -> None:
    alone = train({"model": LM}, Spread(folder / "shared"))
    assert np.abs(np.array(alone.losses) - np.array(whole.losses[4:])).max() <= TOLERANCE
    assert alone.mean == pytest.approx(whole.mean, abs=TOLERANCE)  # of the whole epoch, what came before included


@pytest.fixture
def allow_no_large_file() -> Iterator[Any]:
    """Return a function after which no file can grow beyond 100 kB: as good as a full disk to whoever writes more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_takes_no_more_costs_the_checkpoint_and_nothing_else(
    tmp_path: Path, allow_no_large_file: Any, whole: Told
) -> None:
    left = tmp_path / "left"

    def fill_the_disk() -> None:
        while _checkpoints.newest(left) is None:
            time.sleep(0.01)
        allow_no_large_file()

    told = Told(at={3: fill_the_disk})
    with pytest.raises(Stopped):
        told.stop_after = 6
        train({"model": LM}, Spread(left, every=2), told)
    assert [text for text in told.texts if "could not be written, the one before stays" in text]
    kept = _checkpoints.newest(left)
    assert kept is not None and kept.name == "update-00000002"
    assert np.abs(np.array(told.losses) - np.array(whole.losses)).max() <= TOLERANCE
