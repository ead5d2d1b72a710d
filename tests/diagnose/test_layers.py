"""What lies in a saved artifact, layer by layer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.promises._every import carried_out_here, small_job
from workbench import catalog
from workbench.diagnose import kept_facts, layer_facts, sensitivity_job
from workbench.diagnose import layers as looking
from workbench.errors import InvalidInput
from workbench.job import Job
from workbench.nouns import Run
from workbench.part import Format
from workbench.store import Store

PRUNED = {"use": "magnitude_prune", "sparsity": 0.75}


def made(store: Store, *steps: Any, **changes: Any) -> Run:
    run = carried_out_here(small_job(*steps, **changes), store)
    assert run.status == "done", (run.error or {}).get("traceback")
    return run


def by_layer(run: Run, parent: Run | None) -> dict[str, dict[str, Any]]:
    rows = layer_facts(run, parent)
    assert [row["layer"] for row in rows] == ["conv1", "conv2", "fc1", "fc2"]
    return {row["layer"]: row for row in rows}


def test_bytes_zeros_and_error_of_every_layer(shared_store: Store) -> None:
    parent, small = made(shared_store), made(shared_store, PRUNED, {"use": "int8_static"})
    rows = by_layer(small, parent)
    weights = [catalog.make("formats", "onnx").weights(Path(run.folder) / "artifact")["fc1"] for run in (small, parent)]  # type: ignore[attr-defined]
    error = ((weights[0] - weights[1]) ** 2).sum() / (weights[1] ** 2).sum()
    found = rows["fc1"]
    assert found["sqnr_db"] == pytest.approx(-10 * np.log10(error), rel=1e-5)
    cosine = (weights[0] * weights[1]).sum() / np.linalg.norm(weights[0]) / np.linalg.norm(weights[1])
    assert found["cosine"] == pytest.approx(cosine, rel=1e-5)
    assert (found["kind"], found["shape"], found["precision"], found["num_params"]) == (
        "linear",
        [32, 64],
        "int8",
        2048,
    )
    assert found["bytes"] == 2048 + 32 * 4 + 32  # integers, a scale and a zero point per output
    assert found["nonzero"] == np.count_nonzero(weights[0]) == pytest.approx(512, abs=8)
    assert by_layer(parent, None)["fc1"]["bytes"] == 4 * 2048


def test_histograms_count_every_weight_over_bins_that_both_share(shared_store: Store) -> None:
    parent, pruned = made(shared_store), made(shared_store, PRUNED)
    found = by_layer(pruned, parent)["fc1"]
    assert len(found["hist_edges"]) == 65 and sum(found["hist_after"]) == sum(found["hist_before"]) == 2048
    zero = np.digitize(0.0, found["hist_edges"]) - 1
    assert found["hist_after"][zero] >= 0.75 * 2048 > found["hist_before"][zero]
    assert found["note"] == ""


def test_a_layer_that_did_not_change_says_so_instead_of_an_endless_ratio(shared_store: Store) -> None:
    parent, pruned = made(shared_store), made(shared_store, {**PRUNED, "skip": ["conv1"]})
    found = by_layer(pruned, parent)["conv1"]
    assert (found["sqnr_db"], found["cosine"], found["note"]) == (None, pytest.approx(1.0), "unchanged")


def test_removed_channels_leave_nothing_to_compare(shared_store: Store) -> None:
    parent, narrow = made(shared_store), made(shared_store, {"use": "channel_prune", "ratio": 0.5})
    found = by_layer(narrow, parent)["conv2"]
    assert found["shape"] == [8, 8, 5, 5]
    assert found["note"] == "channels were removed: 16 × 8 × 5 × 5 became 8 × 8 × 5 × 5"
    assert found["sqnr_db"] is found["cosine"] is found["hist_before"] is None
    assert sum(found["hist_after"]) == 8 * 8 * 25


def test_only_onnx_tells_the_time_of_a_layer_and_how_it_was_taken(shared_store: Store) -> None:
    timed, untimed = by_layer(made(shared_store), None), by_layer(made(shared_store, format={"use": "pt2"}), None)
    assert {"conv1", "fc1"} <= timed.keys()
    for name, row in timed.items():
        assert row["ms"] > 0
        assert {"batch", "threads", "measured_alone", "load1"} <= set(row["conditions"])
        assert untimed[name]["ms"] is None and untimed[name]["conditions"] == {}
        assert untimed[name]["bytes"] == row["bytes"]


def test_without_a_parent_nothing_is_compared(shared_store: Store) -> None:
    rows = layer_facts(made(shared_store), None)
    assert {"conv1", "fc1"} <= {row["layer"] for row in rows}
    for row in rows:
        assert row["sqnr_db"] is row["cosine"] is row["hist_before"] is None
        assert row["hist_after"] and row["note"] == ""


def test_formats_that_fold_normalisation_are_not_compared_with_those_that_do_not(shared_store: Store) -> None:
    record = {"model": {"use": "small_cnn", "width": 8, "blocks": 2}, "data": "digits", "metrics": ["size"],
              "steps": [{"use": "train", "epochs": 1}]}  # fmt: skip
    folded, plain = (
        carried_out_here(Job.from_json({**record, "format": name}), shared_store) for name in ("onnx", "pt2")
    )
    rows = {row["layer"]: row for row in layer_facts(folded, plain)}
    assert "folds normalisation" in rows["blocks.0.conv"]["note"] and rows["blocks.0.conv"]["sqnr_db"] is None
    assert rows["classifier"]["note"] == "unchanged"


def test_facts_are_computed_once_and_found_again(shared_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    parent, pruned = made(shared_store), made(shared_store, {**PRUNED, "sparsity": 0.6})
    assert kept_facts(pruned, parent) is None
    rows = layer_facts(pruned, parent)

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a second process was started")

    monkeypatch.setattr(looking, "fresh_process", never)
    assert kept_facts(pruned, parent) == layer_facts(pruned, parent) == rows
    assert kept_facts(pruned, None) is None
    (shared_store.root / ".facts" / f"{pruned.run_id}+{parent.run_id}.json").write_text("{")
    assert kept_facts(pruned, parent) is None


def test_facts_of_other_files_under_the_same_id_are_not_believed(shared_store: Store) -> None:
    run = made(shared_store, {**PRUNED, "sparsity": 0.55})
    layer_facts(run, None)
    place = shared_store.root / ".facts" / f"{run.run_id}.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "of": "another"}))
    assert kept_facts(run, None) is None


def test_a_run_without_an_artifact_is_refused_in_words(shared_store: Store) -> None:
    run = made(shared_store)
    with pytest.raises(InvalidInput, match="has no artifact to look into"):
        layer_facts(Run(run.run_id, run.job_id, "failed", run.job, folder=run.folder), None)


def test_looking_brings_neither_torch_nor_onnx_into_the_kernel(shared_store: Store) -> None:
    run = made(shared_store)
    code = (
        "import sys; from workbench.store import Store; from workbench import diagnose\n"
        f"run = Store({str(shared_store.root)!r}).get({run.run_id!r}); diagnose.layer_facts(run, None)\n"
        "diagnose.sensitivity_job(__import__('workbench.job').job.Job.from_json(run.job), 'magnitude_prune', 'sparsity', [.5])\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'onnx', 'onnxruntime', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# ── the job of an analysis ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_job_of_an_analysis_starts_where_the_recipe_starts() -> None:
    recipe = small_job(PRUNED, {"use": "train", "epochs": 1}, {"use": "int8_static"}, seed=3, format={"use": "pt2"})
    asked = sensitivity_job(recipe, {"use": "magnitude_prune"}, "sparsity", [0.5, 0.9])
    assert [step.name() for step in asked.steps] == ["train"]
    assert (asked.model, asked.data, asked.format, asked.seed) == (recipe.model, recipe.data, recipe.format, 3)
    assert [each.name() for each in asked.metrics] == ["quality", "sensitivity"]
    assert not asked.why_not()
    again = sensitivity_job(asked, {"use": "magnitude_prune"}, "sparsity", [0.5, 0.9])
    assert again.job_id == asked.job_id == Job.from_json(asked.to_json()).job_id


def test_the_job_of_a_step_without_strength_has_no_levels() -> None:
    asked = sensitivity_job(small_job(), {"use": "int8_static"}, "", [])
    assert asked.metrics[1].to_json()["levels"] == []
    with pytest.raises(InvalidInput, match="no number 'sparsity'"):
        sensitivity_job(small_job(), {"use": "int8_static"}, "sparsity", [0.5])


def test_a_format_gives_weights_and_stored_weights_alike(shared_store: Store) -> None:
    run = made(shared_store)
    onnx = catalog.make("formats", "onnx")
    assert isinstance(onnx, Format)
    folder = Path(run.folder) / "artifact"
    assert all(
        np.array_equal(values, onnx.stored(folder)[name].values) for name, values in onnx.weights(folder).items()
    )
