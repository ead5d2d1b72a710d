"""The front against its definition, on drawn points with ties, duplicates and holes."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.compare import pareto
from workbench.errors import InvalidInput

AXES: dict[str, Any] = {"bytes": "lower", "accuracy": "higher", "ms": "lower"}
value = st.one_of(st.integers(0, 4).map(float), st.none(), st.sampled_from([math.nan, math.inf]))
drawn = st.lists(st.fixed_dictionaries(dict.fromkeys(AXES, value)), max_size=14)


def dominates(one: dict[str, Any], other: dict[str, Any], axes: dict[str, Any]) -> bool:
    gains = [(other[axis] - one[axis]) * (1 if better == "lower" else -1) for axis, better in axes.items()]
    return min(gains) >= 0 and max(gains) > 0


@given(drawn, st.sampled_from([("bytes", "accuracy"), ("ms", "bytes"), ("bytes", "accuracy", "ms")]))
def test_the_front_is_what_its_definition_says(values: list[dict[str, Any]], chosen: tuple[str, ...]) -> None:
    axes = {axis: AXES[axis] for axis in chosen}
    points = {f"run{index}": each for index, each in enumerate(values)}
    front = pareto(points, axes)
    whole = {name for name, each in points.items() if all(each[a] is not None and math.isfinite(each[a]) for a in axes)}
    assert set(front.left_out) == set(points) - whole
    assert sorted([*front.members, *front.dominated_by, *front.left_out]) == sorted(points)
    for name in front.members:
        assert not any(dominates(points[other], points[name], axes) for other in whole)
    for name, by in front.dominated_by.items():
        assert by in front.members and dominates(points[by], points[name], axes)
    for group in front.duplicates:
        assert len(group) > 1 and len({tuple(points[name][axis] for axis in axes) for name in group}) == 1


def test_ties_on_one_axis_keep_only_the_better() -> None:
    points = {"a": {"bytes": 1, "ms": 2}, "b": {"bytes": 1, "ms": 3}, "c": {"bytes": 2, "ms": 1}}
    front = pareto(points, {"bytes": "lower", "ms": "lower"})
    assert front.members == ("a", "c") and front.dominated_by == {"b": "a"} and not front.duplicates


def test_duplicates_both_stay_and_are_told() -> None:
    points = {
        "a": {"bytes": 1, "accuracy": 0.9},
        "b": {"bytes": 1, "accuracy": 0.9},
        "c": {"bytes": 5, "accuracy": 0.9},
    }
    front = pareto(points, {"bytes": "lower", "accuracy": "higher"})
    assert front.members == ("a", "b") and front.duplicates == (("a", "b"),) and set(front.dominated_by) == {"c"}


def test_missing_values_are_left_out_with_the_axis_named() -> None:
    points: dict[str, Any] = {"a": {"bytes": 1}, "b": {"bytes": 1, "ms": math.nan}, "c": {"bytes": 1, "ms": 1}}
    front = pareto(points, {"bytes": "lower", "ms": "lower"})
    assert front.members == ("c",) and front.left_out == {"a": "no ms", "b": "ms is nan"}


def test_the_order_of_points_does_not_matter() -> None:
    points = {f"r{i}": {"bytes": float(i * 7 % 5), "ms": float(i * 3 % 7)} for i in range(30)}
    axes: Any = {"bytes": "lower", "ms": "lower"}
    assert pareto(points, axes) == pareto(dict(reversed(points.items())), axes)


def test_axes_that_make_no_front_are_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        pareto({}, {"bytes": "smaller"})  # type: ignore[dict-item]
    assert len(caught.value.problems) == 2
