"""A folder that transformers saved goes the whole way: loaded, compressed or refused with reasons, saved, opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.promises._every import carried_out_here
from tests.promises._stranger import open_as_a_stranger
from tests.zoo import checkpoints
from workbench.artifact import read
from workbench.describe import model_card
from workbench.job import Job
from workbench.store import Store

TEXT = {"use": "python_source", "length": 32, "num_examples": 200}
WHICH = {**TEXT, "task": "which_module"}
DIGITS = {"use": "digits"}
CHECKPOINTS = {
    "bert": (lambda: checkpoints.bert(classes=3), WHICH),
    "vit": (checkpoints.vit, DIGITS),
    "resnet": (checkpoints.resnet, DIGITS),
    "gpt2": (checkpoints.gpt2, TEXT),
    "llama": (checkpoints.llama, TEXT),
}
RECIPES: dict[str, tuple[list[Any], str]] = {
    "as it comes": ([], "onnx"),
    "pruned": ([{"use": "magnitude_prune", "sparsity": 0.5}], "onnx"),
    "narrowed": ([{"use": "channel_prune", "ratio": 0.5, "round_to": 4}], "onnx"),
    "int8 dynamic": ([{"use": "int8_dynamic"}], "onnx"),
    "int8 static": ([{"use": "int8_static"}], "onnx"),
    "trained for int8": ([{"use": "qat", "epochs": 1}], "onnx"),
    "smooth, int8 static": ([{"use": "smooth_quant"}, {"use": "int8_static", "calibration": "mse"}], "onnx"),
    "int4 awq": ([{"use": "weight_only", "method": "awq"}], "onnx"),
    "ternary": ([{"use": "ternary", "epochs": 1}], "onnx"),
    "signs": ([{"use": "binary", "inputs": "signs", "epochs": 1}], "pt2"),
    "heads": ([{"use": "head_prune"}], "onnx"),
    "bfloat16": ([{"use": "bfloat16"}], "hugging_face"),
    "shared": ([{"use": "weight_sharing", "epochs": 0}], "hugging_face"),
    "shared and coded": ([{"use": "weight_sharing", "epochs": 0}], "coded"),
}
SHARED = ("shared", "shared and coded")
TRAINED = ("trained for int8", "smooth, int8 static", "ternary", "signs")
PLAIN = {"as it comes", "pruned", "int8 dynamic", "bfloat16", *SHARED}
WORKS_AT_LEAST = {
    "bert": {*PLAIN, *TRAINED, "narrowed", "int8 static", "int4 awq", "heads"},
    "vit": {*PLAIN, *TRAINED, "narrowed", "int8 static", "int4 awq", "heads"},
    "resnet": {*PLAIN, *TRAINED, "narrowed", "int8 static"},
    "gpt2": {*PLAIN, "trained for int8"},
    "llama": {*PLAIN, "narrowed", "trained for int8"},
}
DEAR = {*TRAINED, "int4 awq", "heads"}  # tried where they work; that others are refused in words is tried with the rest
TRIED = [
    (family, recipe)
    for family in CHECKPOINTS
    for recipe in RECIPES
    if recipe not in DEAR or recipe in WORKS_AT_LEAST[family]
]


@pytest.mark.slow
@pytest.mark.parametrize("family, recipe", TRIED)
def test_a_checkpoint_is_compressed_or_refused_with_reasons(family: str, recipe: str, tmp_path: Path) -> None:
    make, data = CHECKPOINTS[family]
    steps, format_name = RECIPES[recipe]
    folder = checkpoints.saved(make(), tmp_path / "checkpoint")
    record = {"model": {"use": "hugging_face", "checkpoint": folder}, "data": data, "steps": steps}
    job = Job.from_json({**record, "format": format_name, "metrics": ["size"]})
    if reasons := job.why_not(model_card(job)):
        assert recipe not in WORKS_AT_LEAST[family], reasons
        assert all(len(reason) > 15 for reason in reasons)
        return
    run = carried_out_here(job, Store(tmp_path / "runs"))
    if run.status == "failed" and recipe not in WORKS_AT_LEAST[family]:
        assert run.error is not None and run.error["next"], "what a card can't tell is refused with the next move"
        return
    assert run.status == "done", (run.error or {}).get("traceback")
    artifact = read(Path(run.folder) / "artifact")
    if "shared" in recipe:
        assert artifact.card["precision"]["simulated"] is (format_name == "hugging_face")
        assert artifact.card["probe"]["gap_to_torch"] < 1e-4
    elif "int8" in recipe:
        assert "int8" in artifact.card["precision"]["weights"]
    elif format_name == "onnx":
        assert artifact.card["probe"]["gap_to_torch"] < 1e-4
    ended = open_as_a_stranger(artifact)
    assert ended.returncode == 0, ended.stderr
