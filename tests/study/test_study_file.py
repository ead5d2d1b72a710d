"""A study file is read with all problems at once, and expands to the jobs that it means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from workbench import catalog
from workbench.errors import InvalidInput
from workbench.study import check_study, expand, fastest_asked, in_each_format, labels, read_study


def record(**changes: Any) -> dict[str, Any]:
    written = {
        "name": "small",
        "data": "digits",
        "train": ["train epochs=1"],
        "metrics": ["size"],
        "models": {"mlp": "lenet_300_100 hidden_1=16 hidden_2=8"},
        "recipes": {"as trained": {}, "pruned": {"steps": ["magnitude_prune sparsity=0.8"]}},
    }
    return {**written, **changes}


def recipes(**changes: Any) -> list[tuple[str, str, str]]:
    study = check_study(record(**changes))
    named = labels(study)
    return [(named[job.job_id].recipe, job.recipe(), job.format.name()) for job in expand(study)]


def problems(**changes: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidInput) as caught:
        expand(check_study(record(**changes)))
    return caught.value.problems


def test_a_study_is_its_recipes_on_its_models() -> None:
    assert recipes() == [("as trained", "train 1", "onnx"), ("pruned", "train 1 → prune 80%", "onnx")]


def test_text_and_mappings_mean_the_same() -> None:
    as_mapping = {"pruned": {"steps": [{"use": "magnitude_prune", "sparsity": 0.8}]}}
    as_text = {"pruned": {"steps": ["magnitude_prune sparsity=0.8"]}}
    ids = [[job.job_id for job in expand(check_study(record(recipes=each)))] for each in (as_mapping, as_text)]
    assert ids[0] == ids[1]


def test_parents_and_references_are_jobs_too_and_come_first() -> None:
    found = recipes(recipes={"bf16": {"steps": ["bfloat16"], "format": "pt2"}})
    assert found == [
        ("as trained", "train 1", "onnx"), ("as trained", "train 1", "pt2"), ("bf16", "train 1 → bf16", "pt2")
    ]  # fmt: skip


def test_equal_recipes_are_one_job() -> None:
    twice = {"once": {"steps": ["int8_dynamic"]}, "again": {"steps": ["int8_dynamic"]}}
    assert [recipe for recipe, _, _ in recipes(recipes=twice)] == ["as trained", "once"]


def test_fastest_is_one_job_for_each_format_that_can_do_it() -> None:
    found = recipes(recipes={"bf16": {"steps": ["bfloat16"], "format": "fastest"}})
    able = {written for recipe, _, written in found if recipe == "bf16"}
    assert "pt2" in able
    assert "onnx" not in able  # ONNX Runtime has no bfloat16 kernels on CPUs
    assert able <= set(catalog.names("formats"))


def test_a_list_of_formats_is_one_job_each() -> None:
    assert [written for _, _, written in recipes(recipes={"as trained": {"format": ["onnx", "pt2"]}})] == [
        "onnx",
        "pt2",
    ]


def test_a_format_that_refuses_is_a_problem_with_the_recipe_named() -> None:
    (found,) = problems(recipes={"bf16": {"steps": ["bfloat16"]}})
    assert found.startswith("recipe 'bf16' on mlp: format onnx:")


def test_a_dollar_name_stands_for_a_part_of_the_model() -> None:
    models = {"mlp": {"model": "lenet_300_100", "smaller": "lenet_300_100 hidden_1=16 hidden_2=8"}}
    study = check_study(record(models=models, recipes={"small": {"model": "$smaller"}}))
    assert [job.model.hidden_1 for job in expand(study)] == [16]


def test_a_dollar_name_nobody_defined_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match=r"\$smaler is not defined.*\$model"):
        expand(check_study(record(recipes={"small": {"model": "$smaler"}})))


def test_a_model_or_a_recipe_may_train_differently() -> None:
    models = {"mlp": {"model": "lenet_300_100", "train": ["train epochs=7"]}}
    own = {"as trained": {}, "longer": {"train": ["train epochs=9"]}}
    assert [steps for _, steps, _ in recipes(models=models, recipes=own)] == ["train 7", "train 9"]


def test_only_keeps_a_recipe_to_some_models() -> None:
    models = {"mlp": "lenet_300_100", "cnn": "lenet_5"}
    study = check_study(record(models=models, recipes={"as trained": {"only": ["cnn"]}}))
    assert [job.model.name() for job in expand(study)] == ["lenet_5"]


def test_each_seed_is_a_job() -> None:
    study = check_study(record(seeds=[0, 1, 2], recipes={"as trained": {}}))
    assert [job.seed for job in expand(study)] == [0, 1, 2]


def test_all_problems_of_the_shape_come_at_once() -> None:
    found = problems(
        recpes={}, seeds=[-1], models={"mlp": {"smaller": "lenet_5"}},
        recipes={"x": {"stps": [], "only": ["mpl"], "steps": "train"}},
    )  # fmt: skip
    assert len(found) == 6
    assert "unknown key 'recpes', did you mean 'recipes'?" in found
    assert "recipes.x: unknown key 'stps', did you mean 'steps'?" in found
    assert "recipes.x.only: no model 'mpl', did you mean 'mlp'?" in found


def test_all_problems_of_the_parts_come_at_once_and_shared_ones_once() -> None:
    models = {"mlp": "lenet_300_100", "cnn": "lenet_5"}
    bad = {"a": {"steps": ["magnitude_prun"]}, "b": {"steps": ["train epochs=0"], "only": ["mlp"]}}
    found = problems(models=models, recipes=bad)
    assert len(found) == 3  # a on two models, b on one
    assert "did you mean 'magnitude_prune'" in found[0]
    assert "steps[1].epochs: 0 is outside" in found[1]


def test_every_shipped_study_is_whole() -> None:
    tradeoffs = expand(read_study("tradeoffs"))
    assert len(tradeoffs) >= 33
    assert {job.format.name() for job in tradeoffs} == {"onnx", "pt2"}
    assert 4 <= len(expand(read_study("quick"))) <= 8
    assert [job.format.name() for job in expand(read_study("deep_compression"))].count("coded") == 5


def test_a_missing_file_names_the_nearest_shipped_study(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="did you mean 'tradeoffs'"):
        read_study("tradeofs")
    with pytest.raises(InvalidInput, match="not YAML"):
        (tmp_path / "bad.yaml").write_text("a: [")
        read_study(tmp_path / "bad.yaml")


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- a\n- b\n")
    with pytest.raises(InvalidInput, match="a study is a mapping"):
        read_study(tmp_path / "list.yaml")


def test_the_jobs_behind_each_fastest_are_named_by_recipe() -> None:
    study = check_study(record(recipes={"as trained": {}, "int8": {"steps": ["int8_static"], "format": "fastest"}}))
    ((label, ids),) = fastest_asked(study).items()
    assert (label.model, label.recipe) == ("mlp", "int8")
    expected = {job.job_id for job in expand(study) if job.recipe() == "train 1 → int8 static"}
    assert set(ids) == expected and len(ids) >= 2


def test_formats_that_cannot_hold_it_give_their_reasons() -> None:
    job = expand(check_study(record(recipes={"bf16": {"steps": ["bfloat16"], "format": "pt2"}})))[-1]
    able, refused = in_each_format(job.to_json())
    assert {each.format.name() for each in able} | set(refused) == set(catalog.names("formats"))
    assert all(len(reason) > 8 for reasons in refused.values() for reason in reasons)
    assert any("bf16" in reason or "bfloat16" in reason for reason in refused["onnx"])
