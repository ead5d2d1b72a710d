"""Train a student on what a teacher answers, beside the same student trained without one."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.compress import _distillation
from workbench.errors import InvalidInput, WorkbenchError
from workbench.nouns import ModelCard
from workbench.params import PartRef, param
from workbench.part import Context, Model, Step

if TYPE_CHECKING:
    from torch import nn

WHO_TEACHES = "give exactly one of student (the model so far teaches it) and teacher (it teaches the model so far)"


class Distill(Step):
    """Loss = α · CE(student, labels) + (1 − α) · T² · KL(teacher / T ‖ student / T), per example or per token.

    T² keeps the soft part's gradient at the size of the hard part's. The control `student_alone` starts from the same
    weights and sees the same batches in the same order, as many times, with the labels only.
    """

    title = "Distillation"
    source = "Hinton, Vinyals & Dean, arXiv 1503.02531, section 2 (KL in place of cross-entropy: equal gradients)"

    student: PartRef | None = param(None, help="Model (or run:ID) that takes the place of the model so far", part="zoo")
    teacher: PartRef | None = param(None, help="Model (or run:ID) that the model so far learns from", part="zoo")
    temperature: float = param(4.0, help="Divides the logits of both: higher = softer targets", gt=0, le=100)
    alpha: float = param(0.5, help="Share of the loss on the labels; the rest is on the teacher's answers", ge=0, lt=1)
    epochs: int = param(40, help="Passes over the train split with the teacher", unit="epochs", ge=1, le=10_000)
    batch_size: int = param(32, help="Examples in one update of a student", unit="examples", ge=1, le=65_536)
    learning_rate: float = param(3e-3, help="Peak learning rate of the student", gt=0, le=10)
    student_epochs: int = param(
        0, help="Training of a new student on the labels alone, before", unit="epochs", ge=0, le=10_000
    )
    teacher_epochs: int = param(
        20, help="Training of a teacher that is no run:ID, before", unit="epochs", ge=0, le=10_000
    )

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        return {"student": {"use": "lenet_300_100", "hidden_1": 16, "hidden_2": 8}, "epochs": 1}

    @classmethod
    def recovery(cls, model: Model, trained: Sequence[Step], epochs: int) -> dict[str, Any] | None:
        """Learn from the model as it was before it was changed, where a teacher of that name is that very model."""
        if len(trained) != 1:
            return None
        usual, used = ({**step.model_dump(), "epochs": 0} for step in (type(trained[0])(), trained[0]))
        if usual != used:
            return None  # a teacher that is no run is trained with the usual parameters
        return {"use": "distill", "teacher": model.to_json(), "teacher_epochs": trained[0].epochs, "epochs": epochs}  # type: ignore[attr-defined]

    def why_not(self, card: ModelCard) -> list[str]:
        reasons = self._who_teaches()
        if card.task == "unlabelled":
            reasons.append("the students learn from labels too, and this data has none")
        return reasons

    def preview(self, card: ModelCard) -> ModelCard:
        """Return the card of a student as far as this step knows it: what the zoo knows is the job's to ask."""
        if self.student is None:
            return card
        note = "layers after distill are the teacher's until the student has been built"
        return replace(card, structure="original", pretrained=False, notes=(*card.notes, note))

    def replacement(self) -> Any:
        return self.student

    def run(self, model: nn.Module, ctx: Context) -> nn.Module:
        """Return the taught student; records the same student trained alone as control `student_alone`."""
        import torch

        if problems := self._who_teaches():
            raise InvalidInput([f"distill: {problem}" for problem in problems])
        teacher, student = self._pair(model, ctx)
        teacher.eval().requires_grad_(False)
        _distillation.check_same_answers(teacher, student, ctx)
        alone = copy.deepcopy(student)
        soft = _distillation.loss(teacher, temperature=self.temperature, alpha=self.alpha)
        ctx.say("teaching the student")
        state = torch.get_rng_state()
        ctx.train(student, epochs=self.epochs, **self._pace(), loss=soft)
        ctx.say("the same student alone, for comparison")
        torch.set_rng_state(state)  # both see the same dropout masks
        ctx.train(alone, epochs=self.epochs, **self._pace())
        if not _distillation.differ(student, alone):
            raise WorkbenchError("the teacher made no difference to the student", next_move="lower alpha")
        ctx.control("student_alone", alone)
        return student

    def describe(self) -> str:
        who = self.student if self.student is not None else self.teacher
        name = who["use"] if isinstance(who, dict) else who
        return f"distil into {name}" if self.student is not None else f"distil from {name}"

    def _who_teaches(self) -> list[str]:
        if (self.student is None) == (self.teacher is None):
            return [f"{WHO_TEACHES}; given: {'neither' if self.student is None else 'both'}"]
        return []

    def _pace(self) -> dict[str, Any]:
        return {"batch_size": self.batch_size, "learning_rate": self.learning_rate}

    def _pair(self, model: nn.Module, ctx: Context) -> tuple[nn.Module, nn.Module]:
        """Return (teacher, student)."""
        if self.student is None:
            ctx.say("getting the teacher")
            return ctx.load(self.teacher, epochs=self.teacher_epochs), model
        is_run = isinstance(self.student, str)
        student = ctx.load(self.student) if is_run else ctx.build(self.student)
        if self.student_epochs:
            ctx.say("training the student before it is taught")
            ctx.train(student, epochs=self.student_epochs, **self._pace())
        return model, student
