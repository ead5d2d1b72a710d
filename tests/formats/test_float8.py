"""8-bit floats really lie in the file, rounded as torch rounds the weights of the same model without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.formats.test_weights import stored
from tests.promises._every import carried_out_here, small_job
from tests.shrink.test_fp8 import by_torch
from workbench.artifact import read
from workbench.estimate import artifact_band
from workbench.store import Store


@pytest.mark.parametrize("format_name", ["onnx", "pt2"])
def test_linear_layers_are_stored_as_8_bit_floats_and_the_rest_as_it_was(format_name: str, shared_store: Store) -> None:
    runs = [carried_out_here(small_job(*steps, format=format_name), shared_store) for steps in ([], ["fp8"])]
    assert runs[1].status == "done", (runs[1].error or {}).get("traceback")
    before, after = (stored(run) for run in runs)
    changed = [name for name, weight in after.items() if weight.dtype == "float8_e4m3fn"]
    assert changed == ["fc1", "fc2"] and before.keys() == after.keys()
    for name, weight in before.items():
        expected: Any = torch.from_numpy(weight.values.copy())
        if name in changed:
            expected = by_torch(expected)
            assert after[name].num_bytes == expected.numel() + 4 * len(expected)
        assert torch.equal(torch.from_numpy(after[name].values), expected), name
    saved = read(Path(runs[1].folder) / "artifact")
    assert saved.card["probe"]["gap_to_torch"] > 0
    assert saved.card["precision"]["weights"] == "float32 and float8_e4m3fn", "convolutions stay, and hold more numbers"
    assert saved.card["precision"]["activations"] == "float32" and not saved.card["precision"]["simulated"]


@pytest.mark.parametrize("format_name", ["onnx", "pt2"])
def test_the_estimate_holds_the_file(format_name: str, shared_store: Store) -> None:
    from workbench.describe import model_card

    job = small_job("fp8", format=format_name)
    run = carried_out_here(job, shared_store)
    band = artifact_band(job.cards(model_card(job))[-1], format_name)
    size = run.get("artifact_bytes")
    assert band and size and band[0] <= size.value <= band[1], (band, size)
