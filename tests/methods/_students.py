"""Students and teachers of the tests of distillation."""

from __future__ import annotations

from typing import Any

from tests.methods._context import Perceptron, context, perceptron
from workbench.context import StepContext

STUDENT = {"use": "small"}


def small(_ref: Any = None) -> Perceptron:
    return perceptron(seed=1, widths=(8, 4, 4, 3))


def with_student(**options: Any) -> StepContext:
    return context(build=small, **options)
