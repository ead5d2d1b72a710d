"""What a change costs on the same examples: accuracy in points or perplexity in per cent, and how far the answers moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench import compare
from workbench.measure import _fidelity
from workbench.measure.quality import negative_log_likelihood
from workbench.nouns import Examples, Measurement
from workbench.part import MeasureContext

IGNORED_TARGET = -100


@dataclass(frozen=True)
class Damage:
    """How much worse the changed model is, with its paired 95 % interval; positive = worse."""

    value: float
    lo: float
    hi: float
    unit: str
    interval: str
    n: int
    k: int | None = None  # examples that the changed model has right; None for language models


@dataclass(frozen=True)
class Cell:
    """One layer at one level. What can't be had (labels are missing, or there is one output only) is None."""

    where: dict[str, Any]
    damage: Damage | None
    answers: np.ndarray | None  # per example: right or not, or summed nats
    kl: np.ndarray | None  # nats per example
    kl_ends: tuple[float, float] | None  # of its mean


class Judge:
    """Holds what the unchanged model answers, and says of others how they differ."""

    def __init__(self, ctx: MeasureContext, split: str) -> None:
        self.expected, self.seed = ctx.predictions(split), ctx.seed
        self.examples: Examples = getattr(ctx.data, split)
        self.task = ctx.data_card.task
        self.kept = "nll" if self.task == "language-modelling" else "correct"
        self.before = self._answers(self.expected)

    def cell(self, where: dict[str, Any], outputs: np.ndarray) -> Cell:
        """Compare another model's outputs with the unchanged ones."""
        answers = self._answers(outputs)
        kl = _fidelity.apart(outputs, self.expected, self.examples.targets).get("kl")
        ends = None if kl is None else _fidelity.mean_interval(kl, self.seed)
        return Cell(where, self._damage(answers), answers, kl, ends)

    def _answers(self, outputs: np.ndarray) -> np.ndarray | None:
        targets = self.examples.targets
        if self.task == "unlabelled":
            return None
        if self.kept == "nll":
            return negative_log_likelihood(outputs, targets).astype(np.float64).sum(-1)
        return outputs.argmax(-1) == targets

    def _damage(self, answers: np.ndarray | None) -> Damage | None:
        if answers is None or self.before is None:
            return None
        if self.kept == "nll":
            tokens = (self.examples.targets != IGNORED_TARGET).sum(-1)
            text = compare.paired_perplexity(self.before, answers, tokens)
            change, lo, hi = (100 * share for share in (text.change, text.lo, text.hi))
            return Damage(change, lo, hi, "% of perplexity", "t95 of sequences", text.n)
        pair = compare.paired_accuracy(self.before, answers)
        drop, lo, hi = (0.0 - 100 * share for share in (pair.difference, pair.hi, pair.lo))
        return Damage(drop, lo, hi, "points", pair.interval, pair.n, int(answers.sum()))


def keep(ctx: MeasureContext, prefix: str, cells: Sequence[Cell], judge: Judge) -> str:
    """Write what every example did in each cell; returns the file."""
    arrays: dict[str, Any] = {
        "layers": np.array([cell.where["layer"] for cell in cells]),
        "levels": np.array([cell.where["level"] for cell in cells], float),
    }
    if judge.before is not None:
        arrays |= {
            judge.kept: np.stack([cell.answers for cell in cells if cell.answers is not None]),
            f"{judge.kept}_before": judge.before,
        }
    if cells[0].kl is not None:
        arrays["kl"] = np.stack([cell.kl for cell in cells if cell.kl is not None]).astype(np.float32)
    return ctx.keep("sensitivity.npz", **{f"{prefix}.{name}": array for name, array in arrays.items()})


def measurements(cell: Cell, file: str) -> list[Measurement]:
    """Return the drop and the divergence of a cell, as far as it has them."""
    found = []
    if damage := cell.damage:
        found.append(
            Measurement("sensitivity_drop", damage.unit, "lower", damage.value, damage.lo, damage.hi, damage.interval,
                        damage.k, damage.n, file, cell.where)
        )  # fmt: skip
    if cell.kl is not None and cell.kl_ends is not None:
        found.append(
            Measurement("sensitivity_kl", "nats", "lower", float(cell.kl.mean()), *cell.kl_ends, "bootstrap95 of mean",
                        n=len(cell.kl), samples_in=file, conditions=cell.where)
        )  # fmt: skip
    return found
