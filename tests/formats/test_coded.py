"""One file holds the model; what it says of its bytes is true, and a damaged one is refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.promises._every import carried_out_here
from workbench.artifact import read
from workbench.errors import ArtifactError
from workbench.formats.coded import FILE, Coded
from workbench.job import Job
from workbench.nouns import Run
from workbench.store import Store

SHARE = [{"use": "magnitude_prune", "sparsity": 0.9}, {"use": "weight_sharing", "clusters": 8, "epochs": 1}]


def job(*steps: Any, model: Any = "lenet_300_100", **written: Any) -> Job:
    return Job.from_json(
        {"model": model, "data": "digits", "steps": [{"use": "train", "epochs": 1}, *steps],
         "format": {"use": "coded", **written}, "metrics": ["size", "quality"]}
    )  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("runs"))


def done(store: Store, *steps: Any, **changes: Any) -> tuple[Run, Path, dict[str, Any]]:
    run = carried_out_here(job(*steps, **changes), store)
    assert run.status == "done", (run.error or {}).get("traceback")
    artifact = read(Path(run.folder) / "artifact")
    return run, Path(artifact.folder), dict(artifact.card)


@pytest.mark.slow
def test_pruned_and_shared_weights_take_a_thirtieth(store: Store) -> None:
    run, folder, card = done(store, *SHARE)
    size = run.get("artifact_bytes")
    assert size is not None and size.value == (folder / FILE).stat().st_size < 202_440 / 25
    assert sum(card["precision"]["bytes_by_part"].values()) == size.value
    assert card["precision"]["simulated"] is False
    assert card["precision"]["bits_per_weight"] < 1.05 * card["precision"]["entropy_bits_per_weight"]
    assert card["probe"]["gap_to_torch"] < 1e-5


def test_stored_bytes_are_those_of_the_layers(store: Store) -> None:
    _, folder, card = done(store, *SHARE)
    layers = Coded().stored(folder)
    assert list(layers) == ["fc1", "fc2", "fc3"]
    assert all(each.dtype.startswith("codebook") for each in layers.values())
    parts = card["precision"]["bytes_by_part"]
    coded = parts["positions"] + parts["indices"] + parts["codebook"]
    assert sum(each.num_bytes for each in layers.values()) == pytest.approx(coded, abs=4)
    assert all(len(np.unique(each.values)) <= 9 for each in layers.values())


def test_a_float_model_keeps_every_bit(store: Store) -> None:
    run, folder, card = done(store)
    other = carried_out_here(Job.from_json({**job().to_json(), "format": "onnx"}), store)
    from workbench.formats.onnx import Onnx

    mine, theirs = Coded().stored(folder), Onnx().stored(Path(other.folder) / "artifact")
    assert {name: each.values.tobytes() for name, each in mine.items()} == {
        name: each.values.tobytes() for name, each in theirs.items()
    }
    assert card["precision"]["weights"] == "float32"
    assert run.get("artifact_bytes").value < other.get("artifact_bytes").value  # type: ignore[union-attr]


def test_float16_vectors_are_smaller_and_only_vectors_are_rounded(store: Store) -> None:
    exact, folder, _ = done(store, *SHARE)
    rounded, smaller, card = done(store, *SHARE, vectors="float16")
    assert rounded.get("artifact_bytes").value < exact.get("artifact_bytes").value - 500  # type: ignore[union-attr]
    pairs = zip(Coded().stored(folder).values(), Coded().stored(smaller).values())
    assert all(np.array_equal(one.values, other.values) for one, other in pairs)
    assert 0 < card["probe"]["gap_to_torch"] < 1e-2


def test_rounded_tables_save_half_of_them_and_move_weights_by_a_float16_step(store: Store) -> None:
    exact, folder, before = done(store, *SHARE)
    rounded, smaller, card = done(store, *SHARE, tables="float16")
    saved = before["precision"]["bytes_by_part"]["codebook"] - card["precision"]["bytes_by_part"]["codebook"]
    assert saved == before["precision"]["bytes_by_part"]["codebook"] / 2
    assert rounded.get("artifact_bytes").value < exact.get("artifact_bytes").value  # type: ignore[union-attr]
    for one, other in zip(Coded().stored(folder).values(), Coded().stored(smaller).values()):
        assert np.array_equal(one.values.astype(np.float16), other.values)
        assert not np.array_equal(one.values, other.values)


@pytest.mark.parametrize("options", [{}, {"group_size": None, "bits": 3}, {"symmetric": False, "method": "hqq"}])
def test_integers_are_coded_as_integers_and_answer_as_onnx_does(store: Store, options: dict[str, Any]) -> None:
    step = {"use": "weight_only", **options}
    run, folder, card = done(store, step)
    bits = options.get("bits", 4)
    assert {each.dtype for each in Coded().stored(folder).values()} == {f"int{bits}"}
    assert card["precision"]["weights"] == f"int{bits}" and card["precision"]["simulated"] is False
    assert card["probe"]["gap_to_torch"] < 1e-5
    written = "pt2" if bits == 3 else "onnx"
    other = carried_out_here(Job.from_json({**job(step).to_json(), "format": written}), store)
    assert run.get("accuracy", split="test").k == other.get("accuracy", split="test").k  # type: ignore[union-attr]
    assert run.get("artifact_bytes").value < other.get("artifact_bytes").value  # type: ignore[union-attr]
    halved, _, _ = done(store, step, tables="float16")
    assert halved.get("artifact_bytes").value < run.get("artifact_bytes").value  # type: ignore[union-attr]


@pytest.mark.parametrize("format_name", ["onnx", "pt2"])
def test_other_formats_say_that_sharing_is_simulated_and_answer_the_same(store: Store, format_name: str) -> None:
    coded, _, _ = done(store, *SHARE)
    run = carried_out_here(Job.from_json({**job(*SHARE).to_json(), "format": format_name}), store)
    assert run.status == "done", (run.error or {}).get("traceback")
    card = read(Path(run.folder) / "artifact").card
    assert card["precision"]["simulated"] is True and card["precision"]["weights"] == "float32"
    assert run.get("accuracy", split="test").k == coded.get("accuracy", split="test").k  # type: ignore[union-attr]


def test_shared_values_survive_a_batch_normalisation(store: Store) -> None:
    """The exporter would fold it into the convolution, and each channel would have values of its own."""
    model = {"use": "small_cnn", "width": 8, "blocks": 2}
    _, folder, _ = done(store, {"use": "weight_sharing", "clusters": 4, "epochs": 1}, model=model)
    layers = Coded().stored(folder)
    assert all(len(np.unique(layers[name].values)) <= 5 for name in ("blocks.0.conv", "blocks.1.conv"))


def test_a_damaged_file_is_refused_with_a_next_move(store: Store, tmp_path: Path) -> None:
    _, folder, _ = done(store, *SHARE)
    data = (folder / FILE).read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 4
    for damaged in (b"", data[:20], data[: len(data) // 2], data[:-1], bytes(flipped)):
        (tmp_path / FILE).write_bytes(damaged)
        for look in (Coded().open, Coded().stored):
            with pytest.raises(ArtifactError, match=r"model\.coded is damaged.*→ copy it anew"):
                look(tmp_path)


def test_int8_and_bfloat16_are_refused_with_the_format_to_choose() -> None:
    for step, other in (("int8_dynamic", "onnx"), ("bfloat16", "pt2")):
        (reason,) = job({"use": step}).why_not(job().model.card(job().data.card()))
        assert f"choose {other}" in reason or f"choose format {other}" in reason
