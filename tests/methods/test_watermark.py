"""A mark is read back from the saved file, outlives pruning and rounding, and is found nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import small_job
from tests.methods._context import card_of, context, perceptron
from workbench import projection
from workbench.bench import carry_out
from workbench.compress.watermark import Watermark
from workbench.errors import InvalidInput, WorkbenchError
from workbench.protect import watermark
from workbench.store import Store

BITS = 64
KEY = projection.MarkKey(bytes(range(32)))
MODEL = {"use": "lenet_300_100", "hidden_1": 64, "hidden_2": 16}
FOUR_BITS = {"use": "weight_only", "bits": 4}
INT8 = {"use": "int8_static"}


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return watermark.keygen(tmp_path_factory.mktemp("keys"))


def weight(seed: int = 0) -> np.ndarray:
    return 0.05 * np.random.default_rng(seed).standard_normal((100, 200)).astype(np.float32)


def marked(**options: float) -> np.ndarray:
    return projection.marked(weight(), KEY, projection.bits_of(KEY, "us", BITS), **{"strength": 2.5, **options})


def num_right(array: np.ndarray, key: projection.MarkKey = KEY, owner: str = "us") -> int:
    return int((projection.projected(array, key, BITS) * projection.bits_of(key, owner, BITS) > 0).sum())


def without_smallest(array: np.ndarray, share: float) -> np.ndarray:
    return np.where(np.abs(array) < np.quantile(np.abs(array), share), 0, array)


def test_every_bit_stands_at_its_distance_and_the_change_is_the_smallest_that_does_it() -> None:
    bits = projection.bits_of(KEY, "us", BITS)
    assert (projection.projected(marked(), KEY, BITS) * bits).min() > 2.0
    change = marked() - weight()
    assert 0.1 < np.linalg.norm(change) / np.linalg.norm(weight()) < 0.2
    units = np.sqrt(np.mean(weight() ** 2, axis=1, keepdims=True))
    signs = np.concatenate([part for _, part in projection._chunks(weight().size, KEY, BITS)], axis=1)
    flat = (change / units).ravel()
    inside = signs.T @ np.linalg.lstsq(signs.T, flat, rcond=None)[0]
    np.testing.assert_allclose(flat, inside, atol=1e-4)  # in the span of the projection: anything else would be waste


@pytest.mark.parametrize("share, at_least", [(0.5, 64), (0.7, 63), (0.9, 58)])
def test_it_outlives_pruning_by_magnitude(share: float, at_least: int) -> None:
    assert num_right(without_smallest(marked(), share)) >= at_least


def test_it_outlives_scaled_rows_and_noise_and_not_permuted_neurons() -> None:
    random = np.random.default_rng(1)
    assert num_right(marked() * random.uniform(0.1, 10, (100, 1)).astype(np.float32)) == BITS
    assert num_right(marked() + 0.02 * random.standard_normal((100, 200))) == BITS
    assert num_right(marked()[random.permutation(100)]) < 48


def test_zeros_stay_zero() -> None:
    pruned = without_smallest(weight(), 0.6)
    after = projection.marked(pruned, KEY, projection.bits_of(KEY, "us", BITS), strength=2.5)
    assert ((after == 0) == (pruned == 0)).all() and num_right(after) == BITS


def test_another_key_another_owner_and_unmarked_weights_agree_by_chance() -> None:
    other = projection.MarkKey(bytes(32))
    counts = [num_right(marked(), other), num_right(marked(), owner="them"), *(num_right(weight(s)) for s in range(20))]
    assert max(counts) < 50 and 28 < np.mean(counts) < 36
    assert projection.chance(50, BITS) > watermark.CONVINCING > projection.chance(52, BITS)


@pytest.mark.parametrize("format_name, then", [("onnx", None), ("onnx", INT8), ("onnx", FOUR_BITS), ("pt2", FOUR_BITS)])
def test_it_is_found_in_saved_files(format_name: str, then: dict, key_file: Path, shared_store: Store) -> None:
    steps = [{"use": "train", "epochs": 3}, {"use": "magnitude_prune", "sparsity": 0.5}]
    step = {"use": "watermark", "key": str(key_file), "owner": "us"}
    changes = {"model": MODEL, "format": {"use": format_name}, "steps": [*steps, step, *([then] if then else [])]}
    run = carry_out(small_job(**changes), shared_store)
    assert run.status == "done", run.error
    found = watermark.detect(Path(run.folder) / "artifact", key_file, "us", num_bits=BITS)
    assert found.is_there and found.num_right >= 62 and found.layer == "fc1", found
    assert not watermark.detect(Path(run.folder) / "artifact", key_file, "them", num_bits=BITS).is_there


def test_what_it_cannot_do_is_said(tmp_path: Path) -> None:
    sample = {**Watermark.sample(tmp_path), "num_bits": 32}
    few = Watermark(**sample).why_not(card_of(perceptron()))
    assert "256 weights that aren't zero; 32 bits take 512" in few[0]
    assert "did you mean 'fc2'" in Watermark(**sample, layer="fc22").why_not(card_of(perceptron()))[0]
    assert "already int8" in Watermark(**sample).why_not(card_of(perceptron(), precision="int8 static"))[0]
    with pytest.raises(WorkbenchError, match="aren't zero.*lower num_bits"):
        Watermark(**sample).run(perceptron(), context())
    renamed = tmp_path / projection.KEY_FILE.format("0" * 16)
    renamed.write_text(Path(sample["key"]).read_text())
    for wrong, told in ((renamed, "holds key"), (tmp_path / "none.key", "can't be read"), (__file__, "is no key")):
        with pytest.raises(InvalidInput, match=told):
            projection.read_key(wrong)


def test_the_step_marks_the_layer_with_most_weights(tmp_path: Path) -> None:
    model = perceptron(widths=(8, 64, 64, 3))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    Watermark(**Watermark.sample(tmp_path)).run(model, context())
    changed = [name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])]
    assert changed == ["fc2.weight"]
