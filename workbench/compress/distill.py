"""Train a student on what a teacher answers, beside the same student trained without one."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.compress import _distillation
from workbench.errors import InvalidInput, WorkbenchError
from workbench.extents import Extents
from workbench.nouns import ModelCard
from workbench.params import PartRef, did_you_mean, param
from workbench.part import Context, Model, Step

if TYPE_CHECKING:
    from torch import nn

WHO_TEACHES = "give exactly one of student (the model so far teaches it) and teacher (it teaches the model so far)"


class Distill(Step):
    """Loss = α · CE(student, labels) + (1 − α) · T² · KL(teacher / T ‖ student / T), per example or per token.

    T² keeps the soft part's gradient at the size of the hard part's. Several teachers: the mean of their softened answers.
    `hints` and `attention` add what the teacher (the first) does inside, at `pairs` of layers. With `generations` the taught
    student teaches the next one; the same model as student learns from itself so. The control `student_alone` starts from the
    same weights as the last one and sees the same batches in the same order, as many times, with the labels only.
    """

    title = "Distillation"
    source = (
        "Hinton, Vinyals & Dean, arXiv 1503.02531, section 2 (KL in place of cross-entropy: equal gradients); hints: Romero et "
        "al., arXiv 1412.6550, eq. 3 (1 × 1 regressors, trained along, scaled by the teacher's mean square); attention: Zagoruyko "
        "& Komodakis, arXiv 1612.03928, eq. 2 (squared distance); several teachers: You et al., KDD 2017, eq. 3; generations: "
        "Furlanello et al., arXiv 1805.04770 (labels and answers)"
    )

    student: PartRef | None = param(None, help="Model (or run:ID) that takes the place of the model so far", part="zoo")
    teacher: PartRef | None = param(None, help="Model (or run:ID) that the model so far learns from", part="zoo")
    temperature: float = param(
        _distillation.TEMPERATURE, help="Divides the logits of both: higher = softer targets", gt=0, le=100
    )
    alpha: float = param(
        _distillation.ALPHA, help="Share of the loss on the labels; the rest is on the teacher's answers", ge=0, lt=1
    )
    epochs: int = param(40, help="Passes over the train split with the teacher", unit="epochs", ge=1, le=10_000)
    batch_size: int = param(32, help="Examples in one update of a student", unit="examples", ge=1, le=65_536)
    learning_rate: float = param(3e-3, help="Peak learning rate of the student", gt=0, le=10)
    student_epochs: int = param(
        0, help="Training of a new student on the labels alone, before", unit="epochs", ge=0, le=10_000
    )
    teacher_epochs: int = param(
        20, help="Training of a teacher that is no run:ID, before", unit="epochs", ge=0, le=10_000
    )

    hints: float = param(0.0, help="Weight of learning the teacher's features; 0 = none", ge=0, le=1000)
    attention: float = param(0.0, help="Weight of learning where the teacher's activity lies; 0 = none", ge=0, le=1000)
    pairs: dict[str, str] = param(
        {}, help="Teacher's layer → student's layer, for hints and attention; empty: three at equal depths"
    )
    more_teachers: list[str] = param([], help="Further runs, run:ID, whose answers are averaged with the teacher's")
    generations: int = param(
        1, help="Students taught one after the other, each by the one before", unit="students", ge=1, le=20
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
        reasons += [
            f"more_teachers: {ref!r} is not of the form run:ID"
            for ref in self.more_teachers
            if not ref.startswith("run:")
        ]
        if self.pairs and not (self.hints or self.attention):
            reasons.append("pairs are for hints and attention, and both are 0")
        known = [layer.name for layer in card.layers]
        mine = self.pairs if self.student is not None else self.pairs.values()  # layers of the model so far
        return reasons + [f"pairs: no layer {name!r}{did_you_mean(name, known)}" for name in mine if name not in known]

    @property
    def spreads(self) -> bool:
        return True

    def why_not_spread(self, extents: Extents) -> list[str]:
        reasons = _distillation.why_not_spread(extents)
        if self.hints or self.attention:
            reasons.append(
                "what is learned of a teacher's insides doesn't reach the other processes: hints=0 attention=0"
            )
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
        teachers = [teacher, *(ctx.load(ref) for ref in self.more_teachers)]
        for each in teachers:
            each.eval().requires_grad_(False)
            _distillation.check_same_answers(each, student, ctx)
        for generation in range(1, self.generations + 1):
            alone = copy.deepcopy(student)
            ctx.say(
                "teaching the student"
                if self.generations == 1
                else f"teaching student {generation} of {self.generations}"
            )
            state = self._taught(student, teachers, ctx)
            if generation < self.generations:
                teachers, student = [student.eval().requires_grad_(False)], self._next(alone, ctx)
        ctx.say("the same student alone, for comparison")
        torch.set_rng_state(state)  # both see the same dropout masks
        ctx.train(alone, epochs=self.epochs, **self._pace())
        if not _distillation.differ(student, alone):
            raise WorkbenchError("the teacher made no difference to the student", next_move="lower alpha")
        ctx.control("student_alone", alone)
        return student

    def _taught(self, student: nn.Module, teachers: list[nn.Module], ctx: Context) -> Any:
        """Teach in place; returns the state of the random numbers that the training began with."""
        import torch

        soft = partial(_distillation.loss, teachers, temperature=self.temperature, alpha=self.alpha)
        if not (self.hints or self.attention):
            state = torch.get_rng_state()
            ctx.train(student, epochs=self.epochs, **self._pace(), loss=soft())
            return state
        from workbench.compress import _matching

        pairs = _matching.pairs_of(teachers[0], student, self.pairs, ctx.data.train)
        ctx.say(f"matching {', '.join(f'{theirs} → {mine}' for theirs, mine in pairs.items())}")
        example = {name: torch.from_numpy(array[:2]).to(ctx.device) for name, array in ctx.data.train.inputs.items()}
        both = _matching.Matching(student, teachers[0], pairs, example)
        state = torch.get_rng_state()
        try:
            ctx.train(both, epochs=self.epochs, **self._pace(), loss=soft(inside=lambda: self._inside(both)))
        finally:
            both.close()
        return state

    def _inside(self, both: Any) -> Any:
        hints = self.hints * both.hints() if self.hints else 0.0
        return hints + (self.attention * both.attention() if self.attention else 0.0)

    def _next(self, start: nn.Module, ctx: Context) -> nn.Module:
        """Return the student of the next generation: built anew where it is a zoo part, else as the last one started."""
        return ctx.build(self.student) if isinstance(self.student, dict) else copy.deepcopy(start)

    def describe(self) -> str:
        who = self.student if self.student is not None else self.teacher
        name = who["use"] if isinstance(who, dict) else who
        inside = " + ".join(word for word, weight in (("hints", self.hints), ("attention", self.attention)) if weight)
        words = f"distil into {name}" if self.student is not None else f"distil from {name}"
        words += f" and {len(self.more_teachers)} more" if self.more_teachers else ""
        words += f" with {inside}" if inside else ""
        return words + (f", {self.generations} generations" if self.generations > 1 else "")

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
