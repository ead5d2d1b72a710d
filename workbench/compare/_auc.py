"""How well one number tells two groups apart: the area under the ROC curve, with its interval.

Source: DeLong, DeLong & Clarke-Pearson, Biometrics 44, 1988, 837-845: each example's placement among those of the other group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.compare._statistics import TWO_SIDED_95
from workbench.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def auc_interval(positives: ArrayLike, negatives: ArrayLike) -> tuple[float, float, float]:
    """Return (AUC, lo, hi) at 95 %: how probable it is that a positive's score is above a negative's; ties count half."""
    above, below = np.asarray(positives, float), np.asarray(negatives, float)
    if min(above.size, below.size) < 2:
        raise InvalidInput([f"an AUC needs 2 or more of each group, given {above.size} and {below.size}"])
    of_positives, of_negatives = _placements(above, below), 1 - _placements(below, above)
    auc = float(of_positives.mean())
    variance = of_positives.var(ddof=1) / above.size + of_negatives.var(ddof=1) / below.size
    half = TWO_SIDED_95 * float(np.sqrt(variance))
    return auc, max(0.0, auc - half), min(1.0, auc + half)


def _placements(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the share of the others that each score is above."""
    ordered = np.sort(others)
    lower, upper = (np.searchsorted(ordered, scores, side) for side in ("left", "right"))
    return (lower + upper) / 2 / others.size
