"""What a search may try follows from what the parts declare and what is legal; layers differ where a run says how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from workbench import catalog
from workbench.job import Job
from workbench.nouns import Measurement, Run
from workbench.params import describe
from workbench.search._levels import Levels, levels_of
from workbench.search._space import NONE, Space, recovers, space_of, steps_and_format
from workbench.search._suggest import Middle, as_trained, single_methods

BASE = Job.from_json(
    {"model": "lenet_5", "data": "digits", "steps": [{"use": "train", "epochs": 8}], "metrics": [{"use": "size"}]}
)
CARD = BASE.model.card(BASE.data.card())
RUN_ID = "lenet_5-sensitive-01"


def space(**options: Any) -> Space:
    return space_of(BASE, CARD, options.pop("runs", ()), **options)


@pytest.mark.parametrize(("family", "name"), [(f, n) for f in ("compress", "formats") for n in catalog.names(f)])
def test_every_value_that_a_part_declares_for_searching_is_legal(family: str, name: str) -> None:
    part = catalog.get(family, name)
    specs = {spec.name for spec in describe(part)}
    assert set(part.searched) <= specs
    for parameter, values in part.searched.items():
        assert len(set(values)) == len(values) >= 1
        for value in values:
            catalog.make(
                family, {"use": name, **{key: each[0] for key, each in part.searched.items()}, parameter: value}
            )


def test_every_step_but_training_and_teaching_is_tried_where_a_format_holds_it() -> None:
    found = space()
    tried = {*found.changes, *found.precisions, *found.left_out}
    assert {part.name() for part in catalog.parts("compress") if not recovers(part)} <= tried  # type: ignore[arg-type]
    assert set(found.recoveries) == {"train", "distill"}
    assert "hugging_face" in found.left_out and "transformers" in found.left_out["hugging_face"]
    assert [step["epochs"] for step in found.recoveries["train"]] == [2, 4, 8]
    assert found.recoveries["distill"][0]["teacher"] == BASE.model.to_json()


def test_a_teacher_is_only_offered_when_it_is_the_model_as_it_was_trained() -> None:
    other = Job.from_json({**BASE.to_json(), "steps": [{"use": "train", "epochs": 8, "optimizer": "sgd"}]})
    assert set(space_of(other, CARD, ()).recoveries) == {"train"}


def test_only_and_formats_keep_to_what_they_name() -> None:
    found = space(only=["channel_prune", "int8_static"], formats=["onnx"])
    assert (list(found.changes), list(found.precisions), list(found.formats)) == (
        ["channel_prune"],
        ["int8_static"],
        ["onnx"],
    )


def test_a_space_survives_the_disk() -> None:
    import orjson

    found = space(runs=[sensitive_run()])
    written = orjson.dumps(found.to_json())
    assert orjson.dumps(Space.from_json(orjson.loads(written)).to_json()) == written


def test_a_recipe_is_changes_then_recovery_then_precision() -> None:
    choices = {"change_1": "low_rank", "change_2": "channel_prune", "channel_prune.ratio": 0.75, "precision": "int8_static",
               "format": "onnx", "recovery": "train", "epochs": 0}  # fmt: skip
    steps, written = steps_and_format(space(), BASE, Middle(choices))
    assert [step["use"] for step in steps] == ["low_rank", "channel_prune", "train", "int8_static"]
    assert steps[1]["ratio"] == 0.75 and steps[2]["epochs"] == 2 and written == {"use": "onnx"}


def test_nothing_changed_needs_no_recovery() -> None:
    steps, _ = steps_and_format(space(), BASE, Middle({"change_1": NONE, "precision": "int8_static"}))
    assert [step["use"] for step in steps] == ["int8_static"]


def test_it_starts_with_the_model_as_trained_then_each_single_method_in_the_given_order_of_formats() -> None:
    found = space(only=["channel_prune", "int8_static"], formats=["onnx", "pt2"])
    assert as_trained(found) == [{"change_1": NONE, "precision": NONE, "format": name} for name in ("onnx", "pt2")]
    first = single_methods(found, ["pt2", "onnx"])
    assert [[each["format"] for each in several] for several in first] == [["pt2", "onnx"]] * 2
    assert [several[0]["precision"] for several in first] == ["int8_static", NONE]
    assert [several[0]["change_1"] for several in first] == [NONE, "channel_prune"]


# ── layer by layer ────────────────────────────────────────────────────────────────────────────────────────────────────


def sensitive_run(cells: Sequence[tuple[str, float, float]] = ()) -> Run:
    cells = cells or [("conv1", 0.5, 0.2), ("conv1", 0.9, 3.0), ("fc1", 0.5, 0.01), ("fc1", 0.9, 0.1)]
    measurements = tuple(
        Measurement("sensitivity_kl", "nats", "lower", kl, conditions={"layer": layer, "step": "magnitude_prune",
                                                                       "parameter": "sparsity", "level": level})
        for layer, level, kl in cells
    )  # fmt: skip
    return Run(RUN_ID, "lenet_5-sensitive", "done", BASE.to_json(), measurements=measurements)


def test_a_sensitivity_run_of_the_same_trained_model_is_found() -> None:
    assert levels_of(BASE, [sensitive_run()])["magnitude_prune"].run_id == RUN_ID
    longer = Job.from_json({**BASE.to_json(), "steps": [{"use": "train", "epochs": 9}]})
    assert levels_of(longer, [sensitive_run()]) == {}


def test_each_layer_gets_the_highest_level_within_the_tolerance() -> None:
    levels = levels_of(BASE, [sensitive_run()])["magnitude_prune"]
    assert levels.tolerances() == (0.01, 0.1, 0.2, 3.0)
    assert levels.within(0.1) == {"fc1": 0.9}
    assert levels.within(0.2) == {"conv1": 0.5, "fc1": 0.9}
    assert levels.within(0.001) == {}


def test_a_step_without_strength_takes_in_the_layers_that_bear_it() -> None:
    levels = Levels(RUN_ID, "", {"conv1": [(None, 0.5)], "fc1": [(None, 0.1)]})
    assert levels.within(0.2) == {"fc1": 1.0}


def test_the_recipe_has_one_step_for_each_level() -> None:
    found = space(runs=[sensitive_run()])
    layers = {layer.name for layer in CARD.layers if layer.prunable}
    assert {"conv1", "fc1"} <= layers
    choices = {"change_1": "magnitude_prune", "magnitude_prune.strengths": "per layer", "magnitude_prune.tolerance": 0.2,
               "change_2": NONE, "precision": NONE}  # fmt: skip
    steps, _ = steps_and_format(found, BASE, Middle(choices))
    pruned = [step for step in steps if step["use"] == "magnitude_prune"]
    assert {step["sparsity"]: layers - set(step["skip"]) for step in pruned} == {0.5: {"conv1"}, 0.9: {"fc1"}}
    assert Job.from_json({**BASE.to_json(), "steps": [*BASE.to_json()["steps"], *steps]}).why_not(CARD) == []
