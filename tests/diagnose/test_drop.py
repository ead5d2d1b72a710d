"""A seeded fault is found in its layer, called by its name, and what mends it is carried out and measured."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.conftest import small_job
from workbench.adopt import adopt_data
from workbench.bench import carry_out
from workbench.cli import app
from workbench.diagnose import diagnose_drop
from workbench.diagnose._causes import changes, words
from workbench.errors import InvalidInput
from workbench.store import Store

pytestmark = pytest.mark.slow  # together they take longer than `make check` may

STATIC = {"use": "int8_static", "calibration": "minmax", "num_calibration": None, "per_channel": True, "skip": []}
MODEL = {"use": "lenet_300_100", "hidden_1": 16, "hidden_2": 12}
TRAIN = {"use": "train", "epochs": 12}


@pytest.fixture(scope="module")
def one_broken_picture(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Pictures of three kinds, 8 × 8 numbers about 1; one of 2,400 calibration pictures has a pixel of 1,000."""
    random = np.random.default_rng(0)

    def part(num: int) -> tuple[np.ndarray, np.ndarray]:
        targets = np.arange(num) % 3
        pictures = random.normal(size=(num, 1, 8, 8)) * 0.4
        for kind in range(3):
            pictures[targets == kind, 0, 2 * kind : 2 * kind + 2] += 1.0
        return pictures.astype(np.float32), targets

    calibration = part(2400)
    calibration[0][0, 0, 7, 7] = 1000.0
    parts = {"train": part(600), "validation": part(300), "test": part(60)}
    return adopt_data(**parts, calibration=calibration, folder=tmp_path_factory.mktemp("data"), name="broken")


def drop_job(data: dict[str, Any]) -> Any:
    return small_job(model=MODEL, data=data, steps=[TRAIN, {"use": "int8_static"}], metrics=["size", "quality"])


def test_an_outlier_is_found_in_its_layer_and_cutting_it_off_mends_the_drop(
    one_broken_picture: Any, shared_store: Store
) -> None:
    run = carry_out(drop_job(one_broken_picture), shared_store)
    assert run.status == "done", run.error
    found = diagnose_drop(run, shared_store, num_layers=1)
    assert found.drop.value > 10 and found.drop.is_shown
    worst = found.suspects[0]
    assert any(cause.startswith("range outlier") for cause in worst.causes), found
    assert all(worst.kl > 3 * other.kl for other in found.suspects[1:])  # type: ignore[operator]
    brought = {each.what: each.brought for each in found.remedies}
    assert brought["calibration=percentile"].value < -10 and brought["calibration=percentile"].is_shown  # type: ignore[union-attr]
    assert brought["left as it was"].value < -10, "the layer alone in float32 mends it too"  # type: ignore[union-attr]
    assert found.remedies[0].brought.value == min(each.value for each in brought.values() if each)  # type: ignore[union-attr]
    again = diagnose_drop(run, shared_store, num_layers=1)
    assert again == found, "what was carried out is not done anew"


def test_the_command_tells_the_same(one_broken_picture: Any, shared_store: Store) -> None:
    run = carry_out(drop_job(one_broken_picture), shared_store)
    arguments = ["diagnose", run.run_id, "--layers", "1", "--store", str(shared_store.root)]
    plain, as_json = (CliRunner().invoke(app, [*arguments, *more]) for more in ([], ["--json"]))
    assert plain.exit_code == 0 and "range outlier" in " ".join(plain.output.split()), plain.output
    record = json.loads(as_json.stdout)
    assert record["remedies"][0]["run_id"] and record["drop"]["value"] > 10


def test_what_cannot_be_looked_into_is_told(shared_store: Store) -> None:
    with pytest.raises(InvalidInput, match="no step of .* changes layers one by one"):
        diagnose_drop(carry_out(small_job(), shared_store), shared_store)


@pytest.mark.parametrize(
    ("evidence", "step", "name", "change"),
    [
        ({"outlier": 40.0}, STATIC, "range outlier", {"calibration": "percentile"}),
        ({"beyond": 0.02}, {**STATIC, "num_calibration": 8}, "calibration mismatch", {"num_calibration": None}),
        ({"spread": 30.0}, {**STATIC, "per_channel": False}, "channels of unequal range", {"per_channel": True}),
        ({"dead": 0.4}, {"use": "magnitude_prune", "skip": ["a"]}, "dead channels", {"skip": ["a", "b"]}),
        ({"shift": 2.0}, {"use": "magnitude_prune", "skip": []}, "batch-norm shift", {}),
    ],
)
def test_each_cause_has_its_figure_and_its_change(evidence: Any, step: Any, name: str, change: Any) -> None:
    (told,) = words(evidence, step)
    assert told.startswith(f"{name}: ")
    first = changes("b", evidence, step)[0]
    assert first.fields == change and first.why == told
    assert bool(first.after) == (name == "batch-norm shift")
    quiet = dict.fromkeys(evidence, 0.0)
    assert not words(quiet, step) and not changes("b", quiet, step)


def test_a_step_is_only_accused_of_what_it_does() -> None:
    loud = {"outlier": 99.0, "beyond": 0.5, "spread": 99.0}
    assert not words(loud, {"use": "magnitude_prune", "skip": []})
