"""Distillation by features and attention, of several teachers, over generations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.methods._context import card_of, context, images, perceptron, vectors
from tests.methods._students import STUDENT, small, with_student
from tests.methods.test_channel_prune import transformer
from workbench.compress._distillation import mean_answers
from workbench.compress._matching import Matching, pairs_of
from workbench.compress.distill import Distill
from workbench.errors import WorkbenchError


class Maps(torch.nn.Module):
    """Two convolutions and a classifier: (N, 1, 8, 8) → (N, 3)."""

    def __init__(self, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, width, 3, padding=1, stride=stride)
        self.conv2 = torch.nn.Conv2d(width, width, 3, padding=1)
        self.head = torch.nn.Linear(width, 3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv2(self.conv1(pixels).relu()).relu().mean((2, 3)))


def maps(width: int, *, seed: int = 0, **options: Any) -> Maps:
    torch.manual_seed(seed)
    return Maps(width, **options).eval()


def both_of(teacher: torch.nn.Module, student: torch.nn.Module, pairs: dict[str, str], splits: Any) -> Matching:
    example = {name: torch.from_numpy(array[:4]) for name, array in splits.train.inputs.items()}
    matching = Matching(student, teacher, pairs, example)
    with torch.no_grad():
        teacher(**example)
    matching(**example)
    return matching


def test_hints_are_the_regressed_students_distance_to_the_teachers_features() -> None:
    teacher, student, splits = perceptron(widths=(8, 12, 12, 3)), small(), vectors()
    matching = both_of(teacher, student, {"fc2": "fc1"}, splits)
    given = torch.from_numpy(splits.train.inputs["pixels"][:4])
    taught = teacher.fc2(teacher.fc1(given).relu())
    learned = matching.regressors[0](student.fc1(given))
    torch.testing.assert_close(matching.hints(), (learned - taught).square().mean() / taught.square().mean())


def test_attention_is_the_distance_of_the_normalised_maps_resized_to_the_teachers() -> None:
    teacher, student, splits = maps(6), maps(4, seed=1, stride=2), images()
    matching = both_of(teacher, student, {"conv1": "conv1"}, splits)
    given = torch.from_numpy(splits.train.inputs["pixels"][:4])
    a = teacher.conv1(given).square().sum(1).flatten(1)
    b = torch.nn.functional.interpolate(
        student.conv1(given).square().sum(1, keepdim=True), (8, 8), mode="bilinear", align_corners=False
    ).flatten(1)
    expected = (a / a.norm(dim=1, keepdim=True) - b / b.norm(dim=1, keepdim=True)).square().sum(1).mean()
    torch.testing.assert_close(matching.attention(), expected)


def test_layers_at_equal_depths_are_paired_where_none_are_named() -> None:
    assert pairs_of(maps(6), maps(4), {}, images().train) == {"conv1": "conv1", "conv2": "conv2"}
    deep, shallow = perceptron(widths=(8, 4, 4, 3)), torch.nn.Sequential()
    shallow.add_module("only", torch.nn.Linear(8, 3))
    shallow.forward = lambda pixels: shallow.only(pixels)  # type: ignore[method-assign,assignment]
    assert set(pairs_of(deep, shallow, {}, vectors().train).values()) == {"only"}


@pytest.mark.parametrize("weights", [{"hints": 1.0}, {"attention": 10.0}, {"hints": 0.5, "attention": 5.0}])
def test_what_the_teacher_does_inside_is_learnt_and_nothing_else_remains(weights: dict[str, float]) -> None:
    """After training, the student's insides are nearer to the teacher's than those of the student taught by answers alone."""
    splits, found = images(size=48), []
    for given in (weights, {}):
        ctx = context(splits, build=lambda _: maps(6, seed=1))
        student = Distill(student=STUDENT, epochs=12, learning_rate=0.01, **given).run(maps(6), ctx)
        assert {name for name, _ in student.named_parameters()} == {name for name, _ in maps(6).named_parameters()}
        assert not any(module._forward_hooks for module in student.modules())
        matching = both_of(maps(6), student, {"conv2": "conv2"}, splits)
        found.append(
            float(
                (
                    matching.attention() if "attention" in weights else _best_regression(maps(6), student, splits)
                ).detach()
            )
        )
    assert found[0] < 0.9 * found[1]


def _best_regression(teacher: Maps, student: Maps, splits: Any) -> torch.Tensor:
    """Return the error of the best linear map from the student's features to the teacher's."""
    given = torch.from_numpy(splits.test.inputs["pixels"])
    with torch.no_grad():
        taught, learned = (
            each.conv2(each.conv1(given).relu()).permute(0, 2, 3, 1).flatten(0, 2) for each in (teacher, student)
        )
    learned = torch.cat([learned, torch.ones(len(learned), 1)], 1)
    return (learned @ torch.linalg.lstsq(learned, taught).solution - taught).square().mean()


def test_the_control_of_a_student_with_hints_is_still_the_plain_one() -> None:
    plain, hinted = (context(build=small) for _ in range(2))
    Distill(student=STUDENT, epochs=2).run(perceptron(), plain)
    Distill(student=STUDENT, epochs=2, hints=1.0).run(perceptron(), hinted)
    assert np.array_equal(
        plain.controls["student_alone"]["test_outputs"], hinted.controls["student_alone"]["test_outputs"]
    )


def test_several_teachers_are_the_mean_of_their_softened_answers() -> None:
    logits = [torch.randn(5, 3, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    found = torch.softmax(mean_answers(logits, 4.0) / 4.0, -1)
    torch.testing.assert_close(found, sum(torch.softmax(each / 4.0, -1) for each in logits) / 3)


def test_further_teachers_are_runs_and_make_a_difference() -> None:
    asked, students = [], []

    def load(ref: Any, epochs: int) -> torch.nn.Module:
        asked.append(ref)
        return perceptron(seed=9)

    for more in ([], ["run:a-01", "run:b-01"]):
        ctx = context(build=small, load=load)
        students.append(Distill(student=STUDENT, epochs=2, more_teachers=more).run(perceptron(), ctx))
    assert asked == ["run:a-01", "run:b-01"]
    assert not torch.equal(students[0].fc1.weight, students[1].fc1.weight)


def test_each_generation_is_taught_by_the_one_before() -> None:
    ctx, taught_by = with_student(), []
    train = ctx.train

    def watched(model: Any, **options: Any) -> dict[str, float]:
        if "loss" in options:
            (teachers,) = (
                cell.cell_contents for cell in options["loss"].__closure__ if isinstance(cell.cell_contents, list)
            )
            taught_by.append((teachers[0], model))
        return train(model, **options)

    ctx.train = watched  # type: ignore[method-assign]
    teacher = perceptron()
    last = Distill(student=STUDENT, epochs=1, generations=3).run(teacher, ctx)
    assert taught_by[0][0] is teacher
    assert [each for each, _ in taught_by[1:]] == [student for _, student in taught_by[:2]]
    assert last is taught_by[2][1]
    assert list(ctx.controls) == ["student_alone"]
    assert all(parameter.requires_grad for parameter in last.parameters())


def test_reasons_against_hints_and_teachers_are_words() -> None:
    card = card_of(perceptron())
    assert any("both are 0" in reason for reason in Distill(student=STUDENT, pairs={"fc1": "fc1"}).why_not(card))
    wrong = Distill(student=STUDENT, hints=1.0, pairs={"fc11": "x"}, more_teachers=["lenet_5"])
    assert any("did you mean 'fc1'" in reason for reason in wrong.why_not(card))
    assert any("run:ID" in reason for reason in wrong.why_not(card))
    with pytest.raises(WorkbenchError, match="the student has no layer 'nowhere'"):
        Distill(student=STUDENT, hints=1.0, pairs={"fc1": "nowhere"}, epochs=1).run(perceptron(), with_student())
    with pytest.raises(WorkbenchError, match="layers with positions"):
        Distill(student=STUDENT, attention=1.0, epochs=1).run(perceptron(), with_student())
    described = Distill(student=STUDENT, hints=1.0, attention=2.0, generations=2, more_teachers=["run:x-1"]).describe()
    assert described == "distil into small and 1 more with hints + attention, 2 generations"


@pytest.mark.parametrize("name", ["vit", "bert"])
def test_transformers_learn_insides_too(name: str) -> None:
    teacher, splits = transformer(name)
    student, _ = transformer(name)
    ctx = context(splits, load=lambda *_: teacher)
    taught = Distill(teacher={"use": "big"}, hints=1.0, attention=1.0, epochs=1, learning_rate=1e-4).run(student, ctx)
    assert taught is student
