"""What a step does to each layer alone: on the validation split, against the unchanged model, nothing kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.measure.handmade import NUM_CLASSES, HandmadeContext, card, kept
from tests.measure.narrow import LAYERS, job
from workbench import catalog
from workbench.errors import Cancelled, InvalidInput, WorkbenchError
from workbench.job import Job
from workbench.nouns import Examples, Splits
from workbench.part import Metric

pytestmark = pytest.mark.slow  # together they take longer than `make check` may

TARGETS = np.arange(60) % NUM_CLASSES


def metric(**values: Any) -> Metric:
    made = catalog.make("measure", {"use": "sensitivity", **values})
    assert isinstance(made, Metric)
    return made


def sure_of(classes: np.ndarray) -> np.ndarray:
    return 4.0 * np.eye(NUM_CLASSES, dtype=np.float32)[classes]


class Tried(HandmadeContext):
    """A model that is right everywhere; `harm` gives the share of examples that a (layer, level) makes wrong."""

    def __init__(self, folder: Path, harm: Any, *, layers: tuple[str, ...] = LAYERS) -> None:
        super().__init__(folder, {"this": lambda _: sure_of(TARGETS)}, targets=TARGETS)
        validation = self.data.validation
        never = Examples(validation.inputs, None)  # type: ignore[arg-type]  # a look at other targets would raise
        self.data = Splits(never, validation, never, never)
        self.harm, self.layers = harm, layers
        self.asked: list[tuple[Any, str, str]] = []

    def changed(self, step: Any, split: str, *, layer: str = "") -> np.ndarray:
        self.asked.append((step, split, layer))
        wrong = TARGETS.copy()
        wrong[: int(len(wrong) * self.harm(layer, step.get("sparsity")))] += 1
        return sure_of(wrong % NUM_CLASSES)


def test_the_drop_is_paired_and_in_points_for_every_layer_and_level(tmp_path: Path) -> None:
    ctx = Tried(tmp_path, lambda layer, level: {"fc1": 0.1, "fc2": 0.0, "fc3": 0.5}[layer] * (level > 0.4))
    found = metric(levels=[0.3, 0.5]).measure(ctx)
    drops = {
        (each.conditions["layer"], each.conditions["level"]): each for each in found if each.name == "sensitivity_drop"
    }
    assert set(drops) == {(layer, level) for layer in LAYERS for level in (0.3, 0.5)}
    assert {place: round(each.value, 9) for place, each in drops.items() if each.value} == {
        ("fc1", 0.5): 10,
        ("fc3", 0.5): 50,
    }
    worst, none = drops["fc3", 0.5], drops["fc2", 0.5]
    assert (worst.k, worst.n, worst.unit, worst.better) == (30, 60, "points", "lower")
    assert worst.lo is not None and worst.hi is not None and 30 < worst.lo < 50 < worst.hi < 70
    assert none.lo is not None and none.hi is not None and none.lo < 0 < none.hi
    assert worst.conditions == {"layer": "fc3", "step": "magnitude_prune", "parameter": "sparsity", "level": 0.5,
                                "split": "validation"}  # fmt: skip


def test_divergence_is_that_of_the_changed_outputs_from_the_unchanged_ones(tmp_path: Path) -> None:
    found = metric(levels=[0.5]).measure(Tried(tmp_path, lambda layer, _: 0.5 if layer == "fc3" else 0.0))
    kl = {each.conditions["layer"]: each for each in found if each.name == "sensitivity_kl"}
    right, other = np.exp(4) / (np.exp(4) + NUM_CLASSES - 1), 1 / (np.exp(4) + NUM_CLASSES - 1)
    assert kl["fc3"].value == pytest.approx(0.5 * (right - other) * 4, rel=1e-6)
    assert kl["fc1"].value == 0.0
    assert kl["fc3"].lo is not None and kl["fc3"].lo < kl["fc3"].value


def test_only_the_validation_split_is_read(tmp_path: Path) -> None:
    ctx = Tried(tmp_path, lambda *_: 0.1)
    metric(levels=[0.5]).measure(ctx)
    assert {split for _, split, _ in ctx.asked} == {"validation"}


def test_what_each_example_did_is_kept(tmp_path: Path) -> None:
    ctx = Tried(tmp_path, lambda layer, _: 0.5 if layer == "fc3" else 0.0)
    (file,) = {each.samples_in for each in metric(levels=[0.5, 0.9]).measure(ctx)}
    arrays = kept(ctx, file)
    assert arrays["magnitude_prune_sparsity.layers"].tolist() == [name for name in LAYERS for _ in range(2)]
    assert arrays["magnitude_prune_sparsity.levels"].tolist() == [0.5, 0.9] * 3
    assert arrays["magnitude_prune_sparsity.correct"].sum(axis=1).tolist() == [60, 60, 60, 60, 30, 30]
    assert arrays["magnitude_prune_sparsity.correct_before"].all()
    assert arrays["magnitude_prune_sparsity.kl"].shape == (6, 60)


def test_a_layer_that_the_step_cannot_take_is_left_out_and_said(tmp_path: Path) -> None:
    class Refusing(Tried):
        def changed(self, step: Any, split: str, *, layer: str = "") -> np.ndarray:
            if layer != "fc2":
                raise WorkbenchError(f"nothing to do on {layer}")
            return super().changed(step, split, layer=layer)

    ctx = Refusing(tmp_path, lambda *_: 0.1)
    assert {each.conditions["layer"] for each in metric(levels=[0.5]).measure(ctx)} == {"fc2"}
    assert "left out fc1, magnitude_prune sparsity 0.5: nothing to do on fc1" in ctx.said
    with pytest.raises(WorkbenchError, match="on any layer alone"):
        metric(levels=[0.5]).measure(Refusing(tmp_path / "none", lambda *_: 0.1, layers=("fc1",)))


def test_a_layer_that_the_step_skips_anyway_is_not_tried(tmp_path: Path) -> None:
    ctx = Tried(tmp_path, lambda *_: 0.1)
    metric(step={"use": "magnitude_prune", "skip": ["fc1"]}, levels=[0.5]).measure(ctx)
    assert [layer for _, _, layer in ctx.asked] == ["fc2", "fc3"]


def test_cancelling_is_not_taken_for_a_layer_that_cannot_be_tried(tmp_path: Path) -> None:
    class Stopped(Tried):
        def changed(self, step: Any, split: str, *, layer: str = "") -> np.ndarray:
            raise Cancelled("asked to stop")

    with pytest.raises(Cancelled):
        metric(levels=[0.5]).measure(Stopped(tmp_path, lambda *_: 0.1))


def test_a_language_model_loses_per_cent_of_perplexity(tmp_path: Path) -> None:
    class Language(Tried):
        def __init__(self, folder: Path) -> None:
            super().__init__(folder, lambda *_: 0.0)
            self.data_card = card("language-modelling")
            tokens = np.tile(np.arange(NUM_CLASSES), (20, 1))
            examples = Examples({"pixels": self.data.validation.inputs["pixels"][:20]}, tokens)
            self.data = Splits(examples, examples, examples, examples)

        def predictions(self, split: str) -> np.ndarray:
            return np.eye(NUM_CLASSES)[self.data.validation.targets] * 3.0

        def changed(self, step: Any, split: str, *, layer: str = "") -> np.ndarray:
            return np.eye(NUM_CLASSES)[self.data.validation.targets] * (2.0 if layer == "fc1" else 3.0)

    found = metric(levels=[0.5]).measure(Language(tmp_path))
    drops = {each.conditions["layer"]: each for each in found if each.name == "sensitivity_drop"}
    perplexities = [1 + (NUM_CLASSES - 1) * np.exp(-height) for height in (2.0, 3.0)]
    assert drops["fc1"].value == pytest.approx(100 * (perplexities[0] / perplexities[1] - 1), rel=1e-6)
    assert (drops["fc1"].unit, drops["fc1"].k, drops["fc2"].value) == ("% of perplexity", None, 0.0)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"parameter": "sparsty"}, "measure.parameter: magnitude_prune has no number 'sparsty', did you mean 'sparsity'?"),
        ({"step": "int8_static"}, "measure.parameter: int8_static has no number 'sparsity'"),
        ({"step": "train", "parameter": "epochs", "levels": [1]}, "measure.step: train has no parameter skip"),
        ({"step": "run:x-01"}, "measure.step: a step is needed"),
        ({"levels": [0.5, 1.5]}, "measure.levels: sparsity: 1.5 is outside 0 ≤ sparsity < 1"),
        ({"levels": []}, "measure.levels: at least one value is needed"),
        ({"levels": [0.5, 0.5]}, "measure.levels: the same value twice"),
        ({"step": "int8_static", "parameter": "", "levels": [0.5]}, "leave levels empty"),
        ({"step": {"use": "magnitude_prune", "sparsity": 7}}, "measure.step.sparsity: 7 is outside"),
    ],
)  # fmt: skip
def test_a_step_parameter_or_level_that_does_not_fit_is_refused_at_once(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidInput) as told:
        metric(**values)
    assert any(problem in each for each in told.value.problems), told.value.problems


def test_a_default_is_as_good_as_the_same_value_given() -> None:
    spelt = {"step": {"use": "magnitude_prune", "sparsity": 0.5, "scope": "layer"}, "parameter": "sparsity"}
    assert job().job_id == job(tried=spelt).job_id


def test_a_job_refuses_beforehand_what_its_metric_could_not_try() -> None:
    decided = job(steps=[{"use": "int8_dynamic"}])
    assert any("metric sensitivity: " in reason and "already decided" in reason for reason in decided.why_not())
    cast = job(tried={"step": "bfloat16", "parameter": "", "levels": []})
    assert any("bfloat16 kernels" in reason for reason in cast.why_not())
    assert not job().why_not()


def test_parents_and_references_are_carried_out_without_it() -> None:
    """They are there to compare with; an analysis of them nobody asked for, and ONNX might not be able to try the step."""
    assert job().relatives() == (None, None)
    parent, reference = job(steps=[{"use": "magnitude_prune", "sparsity": 0.3}], format="pt2").relatives()
    assert parent and reference
    assert [[each.name() for each in one.metrics] for one in (parent, reference)] == [["quality"], ["quality"]]
    alone, _ = job(steps=[{"use": "magnitude_prune"}], metrics=["sensitivity"]).relatives()
    assert alone and Job.from_json(alone.to_json()).job_id == alone.job_id
