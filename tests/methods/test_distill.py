"""Distillation follows Hinton's loss, leaves the teacher alone, and records the student that had no teacher."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.methods._context import card_of, context, perceptron, vectors
from tests.methods._students import STUDENT, small, with_student
from workbench.compress._distillation import soft_and_hard
from workbench.compress.distill import Distill
from workbench.errors import InvalidInput, WorkbenchError
from workbench.nouns import Examples
from workbench.spread import IGNORED_TARGET


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def by_hand(logits: np.ndarray, taught: np.ndarray, targets: np.ndarray, *, temperature: float, alpha: float) -> float:
    """Hinton's loss in numpy, one example at a time."""
    values = []
    for student, teacher, target in zip(logits, taught, targets):
        hard = -np.log(softmax(student)[target])
        p, q = softmax(teacher / temperature), softmax(student / temperature)
        values.append(alpha * hard + (1 - alpha) * temperature**2 * float((p * np.log(p / q)).sum()))
    return float(np.mean(values))


@pytest.mark.parametrize(("temperature", "alpha"), [(1.0, 0.0), (4.0, 0.5), (2.0, 0.9), (20.0, 0.1)])
def test_the_loss_is_the_papers(temperature: float, alpha: float) -> None:
    random = np.random.default_rng(0)
    logits, taught = random.normal(size=(2, 6, 5)) * 3
    targets = random.integers(0, 5, 6)
    found = soft_and_hard(
        torch.tensor(logits), torch.tensor(taught), torch.tensor(targets), temperature=temperature, alpha=alpha
    )
    assert float(found) == pytest.approx(
        by_hand(logits, taught, targets, temperature=temperature, alpha=alpha), rel=1e-5
    )


def test_for_tokens_it_is_per_token_and_ignored_ones_do_not_count() -> None:
    random = np.random.default_rng(0)
    logits, taught = random.normal(size=(2, 2, 4, 5))
    targets = random.integers(0, 5, (2, 4))
    counted = np.ones((2, 4), dtype=bool)
    counted[:, -1] = False
    masked = np.where(counted, targets, IGNORED_TARGET)
    found = soft_and_hard(torch.tensor(logits), torch.tensor(taught), torch.tensor(masked), temperature=3.0, alpha=0.4)
    expected = by_hand(logits[counted], taught[counted], targets[counted], temperature=3.0, alpha=0.4)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_soft_gradients_keep_their_size_when_the_temperature_rises() -> None:
    """At high T the soft gradient tends to (student − teacher) / classes with centred logits (eq. 4 of the paper, × T²)."""
    student = torch.tensor([[1.0, -2.0, 1.0]], requires_grad=True)
    teacher = torch.tensor([[0.5, 0.5, -1.0]])
    (gradient,) = torch.autograd.grad(
        soft_and_hard(student, teacher, torch.tensor([0]), temperature=1000.0, alpha=0.0), student
    )
    torch.testing.assert_close(gradient, (student - teacher).detach() / 3, atol=1e-2, rtol=0)


def test_a_new_student_takes_the_place_of_the_model_and_its_teacher_stays_as_it_was() -> None:
    teacher, ctx = perceptron(), with_student()
    before = copy.deepcopy(teacher.state_dict())
    student = Distill(student=STUDENT, epochs=2).run(teacher, ctx)
    assert student is not teacher and student.fc1.out_features == 4
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())


def test_the_model_so_far_can_be_the_student_of_another() -> None:
    asked: list[Any] = []

    def load(ref: Any, epochs: int) -> torch.nn.Module:
        asked.append((ref, epochs))
        return perceptron(seed=5, widths=(8, 32, 32, 3))

    model = perceptron()
    student = Distill(teacher={"use": "big"}, teacher_epochs=7, epochs=1).run(model, context(load=load))
    assert student is model
    assert asked == [({"use": "big"}, 7)]


def test_the_control_is_the_same_student_trained_on_labels_alone() -> None:
    """Its predictions equal those of the student trained by hand with the one loop: init, batches, number of updates."""
    ctx = with_student()
    Distill(student=STUDENT, epochs=3, learning_rate=0.01, batch_size=16).run(perceptron(), ctx)
    alone = small()
    ctx.train(alone, epochs=3, learning_rate=0.01, batch_size=16)
    with torch.no_grad():
        expected = alone(torch.from_numpy(ctx.data.test.inputs["pixels"])).numpy()
    assert np.array_equal(ctx.controls["student_alone"]["test_outputs"], expected)


def test_both_students_get_the_same_number_of_updates_also_after_a_start_of_their_own() -> None:
    ctx, calls = with_student(), []
    train = ctx.train

    def watched(model: Any, **options: Any) -> dict[str, float]:
        start = copy.deepcopy(model.state_dict())
        pace = (options["learning_rate"], options["batch_size"])
        calls.append((options["epochs"], pace, "loss" not in options, start, torch.rand(3)))
        return train(model, **options)

    ctx.train = watched  # type: ignore[method-assign]
    Distill(student=STUDENT, epochs=2, student_epochs=1).run(perceptron(), ctx)
    first, taught, alone = calls
    assert (first[0], taught[0], alone[0]) == (1, 2, 2)
    assert first[1] == taught[1] == alone[1]
    assert (taught[2], alone[2]) == (False, True)
    assert all(torch.equal(taught[3][name], alone[3][name]) for name in alone[3])
    assert not torch.equal(first[3]["fc1.weight"], taught[3]["fc1.weight"])
    assert torch.equal(taught[4], alone[4]), "what is drawn while training (dropout) is the same for both"


def test_soft_targets_teach_what_wrong_labels_hide() -> None:
    """60 % of the training labels are drawn anew; a teacher that knows better helps its student beat the one alone."""
    clean = vectors(sizes=(240, 24, 20, 300))
    random = np.random.default_rng(0)
    wrong = np.where(random.random(240) < 0.6, random.integers(0, 3, 240), clean.train.targets)
    teacher, ctx = perceptron(widths=(8, 32, 32, 3)), context(clean, build=lambda _: perceptron(seed=1))
    ctx.train(teacher, epochs=40, learning_rate=0.01)
    ctx.data = replace(clean, train=Examples(clean.train.inputs, wrong))
    student = Distill(student=STUDENT, epochs=60, learning_rate=0.01, alpha=0.1).run(teacher, ctx)
    with torch.no_grad():
        taught = student(torch.from_numpy(clean.test.inputs["pixels"])).argmax(-1).numpy() == clean.test.targets
    alone = ctx.controls["student_alone"]["test_outputs"].argmax(-1) == clean.test.targets
    assert taught.mean() > alone.mean() + 0.05


def test_a_pruned_student_stays_pruned() -> None:
    model = perceptron()
    with torch.no_grad():
        model.fc2.weight[:8] = 0.0
    student = Distill(teacher={"use": "big"}, epochs=1).run(model, context(load=lambda *_: perceptron(seed=5)))
    assert bool((student.fc2.weight[:8] == 0).all())


def test_a_run_can_be_the_student() -> None:
    ctx = context(load=lambda ref, epochs: small() if ref == "run:lenet_5-abc-01" else None)
    student = Distill(student="run:lenet_5-abc-01", epochs=1).run(perceptron(), ctx)
    assert student.fc1.out_features == 4


def test_different_classes_are_refused() -> None:
    ctx = context(build=lambda ref: perceptron(widths=(8, 4, 4, 7)))
    with pytest.raises(WorkbenchError, match=r"teacher answers \(3,\) per example, the student \(7,\)"):
        Distill(student=STUDENT, epochs=1).run(perceptron(), ctx)


def test_a_teacher_that_makes_no_difference_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = with_student()
    monkeypatch.setattr(ctx, "train", lambda model, **options: {"loss": 0.0})
    with pytest.raises(WorkbenchError, match="no difference"):
        Distill(student=STUDENT).run(perceptron(), ctx)


@pytest.mark.parametrize(("given", "word"), [({}, "neither"), ({"student": STUDENT, "teacher": STUDENT}, "both")])
def test_exactly_one_of_student_and_teacher_is_wanted(given: dict[str, Any], word: str) -> None:
    step = Distill(**given)
    assert any(word in reason for reason in step.why_not(card_of(perceptron())))
    with pytest.raises(InvalidInput, match="exactly one"):
        step.run(perceptron(), with_student())


def test_the_card_says_that_the_student_is_not_known_yet() -> None:
    card = card_of(perceptron(), structure="reshaped")
    after = Distill(student=STUDENT).preview(card)
    assert after.structure == "original" and any("student" in note for note in after.notes)
    assert Distill(teacher=STUDENT).preview(card) is card
    assert Distill(student=STUDENT).describe() == "distil into small"
    assert Distill(teacher="run:x-1").describe() == "distil from run:x-1"
