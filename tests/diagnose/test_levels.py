"""A recipe in which one layer gets another strength: pure records in, pure records out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.promises._every import small_job
from workbench.describe import model_card
from workbench.diagnose import apply_level
from workbench.errors import InvalidInput
from workbench.job import Job

LAYERS = ["conv1", "conv2", "fc1", "fc2"]
TRAIN = {"use": "train", "epochs": 2}
PRUNE = {"use": "magnitude_prune", "sparsity": 0.8}


def applied(steps: list[dict[str, Any]], layer: str, level: float | None, **other: Any) -> list[dict[str, Any]]:
    how = {"step_name": "magnitude_prune", "parameter": "sparsity", "layers": LAYERS, **other}
    return apply_level(steps, layer=layer, level=level, **how)


def levels(steps: list[dict[str, Any]]) -> dict[str, float]:
    """Return what each layer gets in the end, by running the recipe in thought: later steps win."""
    found = {}
    for step in steps:
        if step["use"] == "magnitude_prune":
            found |= {name: step["sparsity"] for name in LAYERS if name not in step.get("skip", [])}
    return found


def legal(steps: list[dict[str, Any]]) -> bool:
    job = Job.from_json({**small_job().to_json(), "steps": steps})
    return not job.why_not(model_card(job))


def test_keeping_a_layer_puts_it_into_skip() -> None:
    after = applied([TRAIN, PRUNE], "fc2", None)
    assert after == [TRAIN, {**PRUNE, "skip": ["fc2"]}]
    assert applied(after, "fc2", None) == after


def test_a_layer_with_a_level_gets_a_step_of_its_own_and_leaves_the_general_one() -> None:
    after = applied([TRAIN, PRUNE], "conv1", 0.3)
    assert after == [
        TRAIN, {**PRUNE, "skip": ["conv1"]}, {"use": "magnitude_prune", "sparsity": 0.3, "skip": ["conv2", "fc1", "fc2"]},
    ]  # fmt: skip
    assert legal(after)


def test_clicking_twice_or_back_and_forth_piles_up_no_steps() -> None:
    once = applied([TRAIN, PRUNE], "conv1", 0.3)
    assert applied(once, "conv1", 0.3) == once
    assert applied(applied(once, "conv1", 0.5), "conv1", 0.3) == once
    assert applied(applied(once, "conv1", None), "conv1", 0.3) == once
    assert applied(once, "conv1", 0.8) == [TRAIN, {**PRUNE, "skip": []}]


def test_layers_of_one_level_share_a_step() -> None:
    after = applied(applied([TRAIN, PRUNE], "conv1", 0.3), "fc2", 0.3)
    assert len(after) == 3
    assert levels(after) == {"conv1": 0.3, "fc2": 0.3, "conv2": 0.8, "fc1": 0.8}


def test_every_other_layer_stays_as_it_was() -> None:
    steps = [TRAIN, PRUNE]
    wanted = dict.fromkeys(LAYERS, 0.8)
    for layer, level in (("conv1", 0.3), ("fc1", 0.95), ("conv2", 0.3), ("conv1", None), ("fc1", 0.3), ("fc2", 0.5)):
        steps = applied(steps, layer, level)
        wanted.pop(layer, None)
        wanted |= {} if level is None else {layer: level}
        assert levels(steps) == wanted
        assert legal(steps)


def test_a_recipe_without_the_step_gets_it_before_precision() -> None:
    after = applied([TRAIN, {"use": "int8_static"}], "fc1", 0.9)
    assert [step["use"] for step in after] == ["train", "magnitude_prune", "int8_static"]
    assert levels(after) == {"fc1": 0.9}
    assert legal(after)
    assert applied([TRAIN], "fc1", None) == [TRAIN]


def test_a_step_that_is_left_with_no_layer_goes() -> None:
    steps = [TRAIN, PRUNE]
    for layer in LAYERS:
        steps = applied(steps, layer, None)
    assert steps == [TRAIN]


def test_what_else_the_step_was_told_holds_for_the_layer_too() -> None:
    scored = {"use": "gradient_prune", "sparsity": 0.5, "saliency": "gradient_x_weight"}
    after = applied([TRAIN, scored], "fc1", 0.9, step_name="gradient_prune")
    assert after[2]["saliency"] == "gradient_x_weight" and after[2]["sparsity"] == 0.9


def test_rounds_of_pruning_leave_the_layer_to_its_own_step() -> None:
    """Prune, recover, prune on: the layer's level is set once, before the recovery."""
    again = {**PRUNE, "sparsity": 0.9}
    after = applied([TRAIN, PRUNE, TRAIN, again], "conv1", 0.3)
    assert [step["use"] for step in after] == [
        "train",
        "magnitude_prune",
        "magnitude_prune",
        "train",
        "magnitude_prune",
    ]
    assert levels(after) == {"conv1": 0.3, "conv2": 0.9, "fc1": 0.9, "fc2": 0.9}


def test_a_precision_step_stays_one_step() -> None:
    int8 = {"step_name": "int8_static", "parameter": ""}
    kept = applied([TRAIN, {"use": "int8_static", "per_channel": False}], "fc2", None, **int8)
    assert kept == [TRAIN, {"use": "int8_static", "per_channel": False, "skip": ["fc2"]}]
    assert applied(kept, "fc2", 1.0, **int8) == [TRAIN, {"use": "int8_static", "per_channel": False, "skip": []}]
    assert legal(kept)
    with pytest.raises(InvalidInput, match="int8_dynamic already decides"):
        applied([TRAIN, {"use": "int8_dynamic"}], "fc2", 1.0, **int8)


def test_channels_are_coupled_so_a_layer_may_only_be_kept() -> None:
    channels = {"step_name": "channel_prune", "parameter": "ratio"}
    steps = [TRAIN, {"use": "channel_prune", "ratio": 0.5}]
    assert applied(steps, "conv2", None, **channels)[1]["skip"] == ["conv2"]
    with pytest.raises(InvalidInput, match="changes layers together"):
        applied(steps, "conv2", 0.3, **channels)


def test_unknown_layers_and_steps_without_skip_are_refused_in_words() -> None:
    with pytest.raises(InvalidInput, match="no layer 'conv9'"):
        applied([TRAIN, PRUNE], "conv9", 0.5)
    with pytest.raises(InvalidInput, match="treats all layers alike"):
        applied([TRAIN], "conv1", 0.5, step_name="train", parameter="epochs")


def test_the_recipe_that_was_given_is_not_touched() -> None:
    steps = [dict(TRAIN), dict(PRUNE)]
    applied(steps, "conv1", 0.3)
    assert steps == [TRAIN, PRUNE]
