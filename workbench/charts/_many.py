"""Ten thousand points: which needn't be compared, and which needn't be drawn because others lie on them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from workbench.charts._points import is_log

if TYPE_CHECKING:
    from workbench.charts._marks import Marks
    from workbench.charts.pareto import ParetoData, Point


def candidates(values: Mapping[str, Mapping[str, float | None]], better: Mapping[str, str]) -> list[str]:
    """Return the names that may be on the front of two axes, and all without a finite value, in their order.

    What another beats on both axes at a glance is left out: the exact front of ten thousand takes a third of a second.
    """
    import numpy as np

    names = list(values)
    costs = np.array(
        [[math.nan if value is None else float(value) for value in values[name].values()] for name in names], float
    ).reshape(len(names), len(better))
    costs *= [1 if way == "lower" else -1 for way in better.values()]
    finite = np.isfinite(costs).all(axis=1)
    order = np.lexsort((costs[:, 1], costs[:, 0]))
    order = order[finite[order]]
    best = np.minimum.accumulate(costs[order, 1])
    kept = ~finite
    kept[order[costs[order, 1] <= best]] = True
    return [name for name, keep in zip(names, kept) if keep]


def thinned(data: ParetoData, most: int, marks: Marks) -> Sequence[Point]:
    """Return at most about `most` points: all that are special, and one of those that lie in one cell of a fine grid."""
    if len(data.points) <= most:
        return data.points
    import numpy as np

    rows = 100
    cells = np.zeros(len(data.points), int)
    for axis, name, count in ((data.x, "x", most // rows), (data.y, "y", rows)):
        values = np.array([getattr(point, name) for point in data.points])
        values = np.log(values) if is_log(axis, values.tolist()) else values
        spread = (values - values.min()) / (np.ptp(values) or 1.0)
        cells = cells * count + np.minimum((spread * count).astype(int), count - 1)
    special = {*marks.selected, marks.recommended, marks.a, marks.b}
    first = set(np.unique(cells, return_index=True)[1].tolist())
    return [
        point for index, point in enumerate(data.points)
        if index in first or point.on_front or point.estimated or point.run_id in special
    ]  # fmt: skip
