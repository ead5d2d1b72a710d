"""Sensitivity in real runs: a cell is what a run with that step would give, and the run itself is unharmed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.measure.narrow import LAYERS, job
from tests.promises._every import carried_out_here
from workbench import artifact, bench
from workbench.describe import model_card
from workbench.measure import _fidelity
from workbench.nouns import Run
from workbench.store import Store

pytestmark = pytest.mark.slow  # together they take longer than `make check` may


def validation_accuracy(run: Run) -> int | None:
    found = run.get("accuracy", split="validation")
    assert found
    return found.k


def divergence(before: Run, after: Run) -> float:
    """Return the mean KL between what two runs answered on the validation split."""
    outputs = []
    for run in (after, before):
        with np.load(Path(run.folder) / "samples" / "predictions.npz") as arrays:
            outputs.append(arrays["validation_outputs"])
    return float(_fidelity.apart(*outputs, np.zeros(len(outputs[0]), int))["kl"].mean())


@pytest.mark.parametrize(
    ("tried", "step"),
    [
        ({}, {"use": "magnitude_prune", "sparsity": 0.5}),
        ({"step": "gradient_prune"}, {"use": "gradient_prune", "sparsity": 0.5}),
        ({"step": "int8_dynamic", "parameter": "", "levels": []}, {"use": "int8_dynamic"}),
        ({"step": "int8_static", "parameter": "", "levels": []}, {"use": "int8_static"}),
    ],
)
def test_a_cell_is_what_a_run_with_that_step_would_give(tried: Any, step: Any, shared_store: Store) -> None:
    """The same answers as the longer recipe gives, saved and measured for itself."""
    analysed = carried_out_here(job(tried=tried), shared_store)
    assert analysed.status == "done", (analysed.error or {}).get("traceback")
    for layer in LAYERS:
        others = [name for name in LAYERS if name != layer]
        longer = carried_out_here(job(steps=[{**step, "skip": others}], metrics=["quality"]), shared_store)
        cell = analysed.get("sensitivity_drop", layer=layer)
        assert cell and cell.n == 149
        assert cell.k == validation_accuracy(longer)
        moved = analysed.get("sensitivity_kl", layer=layer)
        assert moved and moved.value == pytest.approx(divergence(analysed, longer), rel=0.01)
        assert cell.value == pytest.approx(100 * ((validation_accuracy(analysed) or 0) - (cell.k or 0)) / 149)


def test_a_graph_is_exported_once_for_all_layers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.formats import _onnx_graph

    written: list[Path] = []
    write = _onnx_graph.write

    def counted(model: Any, example: Any, path: Path, **options: Any) -> None:
        written.append(path)
        write(model, example, path, **options)

    monkeypatch.setattr(_onnx_graph, "write", counted)
    run = carried_out_here(job(tried={"step": "int8_dynamic", "parameter": "", "levels": []}), store)
    assert len([each for each in run.measurements if each.name == "sensitivity_kl"]) == len(LAYERS)
    assert len(written) == 1


def test_a_destroyed_last_layer_costs_most_and_the_run_itself_is_unharmed(shared_store: Store) -> None:
    """All but one weight of the last layer gone: one class is left to answer, or none."""
    tried = {"levels": [0.05, 0.99]}
    analysed = carried_out_here(job(steps=[{"use": "train", "epochs": 12}], tried=tried), shared_store)
    plain = carried_out_here(job(steps=[{"use": "train", "epochs": 12}], metrics=["quality"]), shared_store)
    hurt = {
        (each.conditions["layer"], each.conditions["level"]): each.value
        for each in analysed.measurements
        if each.name == "sensitivity_kl"
    }
    assert hurt["fc3", 0.99] > 20 * hurt["fc3", 0.05]
    assert hurt["fc3", 0.05] < 0.1
    assert validation_accuracy(analysed) == validation_accuracy(plain)
    assert (Path(analysed.folder) / "artifact" / "model.onnx").read_bytes() == (
        Path(plain.folder) / "artifact" / "model.onnx"
    ).read_bytes()


def test_the_module_is_the_same_after_it_was_asked(shared_store: Store) -> None:
    import torch

    from workbench.one_more import OneMore
    from workbench.prefix import PrefixCache, keys
    from workbench.recorder import Recorder
    from workbench.states import States, data_hash

    wanted = job(metrics=["quality"])
    run = carried_out_here(wanted, shared_store)
    splits = wanted.data.load()
    draft = shared_store.root / ".asked"
    draft.mkdir()
    states = States(wanted, splits, data_hash(splits), shared_store, Recorder(draft, "asked"), None)  # type: ignore[arg-type]
    state = PrefixCache(shared_store.root).get(keys(wanted.model, states.data_sha256, wanted.steps, 0)[-1])
    assert state
    before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    saved = artifact.read(Path(run.folder) / "artifact")
    asked = OneMore(states, state, wanted.cards(model_card(wanted))[-1], saved)
    first = asked({"use": "magnitude_prune", "sparsity": 0.9}, "validation", "fc1")
    asked("int8_static", "validation", "fc1")
    asked("channel_prune", "validation", "fc1")
    assert all(torch.equal(before[name], tensor) for name, tensor in state.model.state_dict().items())
    assert np.array_equal(first, asked({"use": "magnitude_prune", "sparsity": 0.9}, "validation", "fc1"))
    assert not state.quantization
    assert not (draft / "events.jsonl").read_bytes()


def test_channels_of_one_layer_go_with_the_inputs_of_the_next(shared_store: Store) -> None:
    run = carried_out_here(job(tried={"step": "channel_prune", "parameter": "ratio"}), shared_store)
    assert run.status == "done", (run.error or {}).get("traceback")
    assert {each.conditions["layer"] for each in run.measurements if "layer" in each.conditions} == {"fc1"}
    said = [json.loads(line) for line in (Path(run.folder) / "events.jsonl").read_text().splitlines()]
    assert any(each.get("text", "").startswith("left out fc3, channel_prune ratio 0.5") for each in said)
    cells = [each for each in said if each.get("unit") == "cells"]
    assert (cells[-1]["done"], cells[-1]["total"]) == (3, 3)


def test_progress_is_told_however_quick_a_cell_is(shared_store: Store) -> None:
    """What the step itself says while it is tried doesn't count as progress told."""
    run = carried_out_here(job(tried={"levels": np.linspace(0.01, 0.95, 100).tolist()}), shared_store)
    said = [json.loads(line) for line in (Path(run.folder) / "events.jsonl").read_text().splitlines()]
    cells = [each["done"] for each in said if each.get("unit") == "cells"]
    assert len(cells) > 10 and cells[-1] == 300
    assert not any("weights set to zero" in each.get("text", "") for each in said)


def test_a_cancelled_analysis_ends_as_cancelled(store: Store) -> None:
    wanted = job(tried={"levels": np.linspace(0.01, 0.95, 1000).tolist()})  # more than are done before somebody looks
    draft, worker = bench.submit(wanted, store)

    def stop_at_the_first_cell(event: dict[str, Any]) -> None:
        if event.get("unit") == "cells":
            worker.cancel(grace=60)

    bench.follow(draft, worker, stop_at_the_first_cell)
    run = bench.ended(draft, store)
    assert run.status == "cancelled"
    assert not run.get("sensitivity_drop")
