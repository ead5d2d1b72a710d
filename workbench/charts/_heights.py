"""Where values stand between the worst and the best of their axis, and which round ones are written there."""

from __future__ import annotations

import math
from collections.abc import Sequence

from workbench.charts import _style
from workbench.charts._points import is_log

MOST_INSIDE = 5  # ticks between the two ends


def ticks(axis: _style.Axis, values: Sequence[float]) -> list[float]:
    """Return the ends and round values between them, far enough apart to be read."""
    low, high = min(values), max(values)
    if low == high:
        return [low]
    if is_log(axis, values):
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        choices = [[factor * 10.0**decade for decade in decades for factor in factors] for factors in ((1, 2, 5), (1,))]
    else:
        step = 10.0 ** math.floor(math.log10((high - low) / 2))
        step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= MOST_INSIDE)
        choices = [[index * step for index in range(math.ceil(low / step), math.floor(high / step) + 1)]]
    inside: list[float] = []
    for inner in choices:
        places = heights(axis, values, inner, low, high)
        inside = [value for value, place in zip(inner, places) if low < value < high and 0.08 < place < 0.92]
        if len(inside) <= MOST_INSIDE:
            break
    while len(inside) > MOST_INSIDE:
        inside = inside[::2]
    return [low, *inside, high]


def heights(
    axis: _style.Axis, values: Sequence[float], at: Sequence[float], worst: float, best: float
) -> tuple[float, ...]:
    """Return where values lie between worst (0) and best (1); in the middle when all are equal."""
    if worst == best:
        return (0.5,) * len(at)
    if is_log(axis, values):
        at, worst, best = [math.log(value) for value in at], math.log(worst), math.log(best)
    return tuple((value - worst) / (best - worst) for value in at)
