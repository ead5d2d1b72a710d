"""Whether two answers are the same: numbers within rounding, arrays and tensors by shape and value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

RELATIVE = 1e-5  # float32 work in another order


def same(given: Any, right: Any, *, relative: float = RELATIVE) -> bool:
    """Compare deeply. Booleans are no numbers, lists are tuples, −0.0 is 0.0, and what can't be compared isn't the same."""
    if isinstance(right, bool) or isinstance(given, bool):
        return type(given) is type(right) and given == right
    if _is_number(right):
        return _is_number(given) and math.isclose(float(given), float(right), rel_tol=relative, abs_tol=1e-9)
    if _is_array(right):
        return _same_arrays(given, right, relative)
    if isinstance(right, Mapping):
        return (
            isinstance(given, Mapping)
            and set(given) == set(right)
            and all(same(given[key], right[key], relative=relative) for key in right)
        )
    if isinstance(right, list | tuple):
        return (
            isinstance(given, list | tuple)
            and len(given) == len(right)
            and all(same(one, other, relative=relative) for one, other in zip(given, right))
        )
    return type(given) is type(right) and bool(given == right)


def within(relative: float) -> Callable[[Any, Any], bool]:
    """Return a comparison that lets numbers differ by a share of the right one."""
    return lambda given, right: same(given, right, relative=relative)


def _is_number(value: Any) -> bool:
    import numpy as np

    return isinstance(value, int | float | np.number) or (_is_array(value) and value.ndim == 0)


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "ndim")


def _same_arrays(given: Any, right: Any, relative: float) -> bool:
    import numpy as np

    if not _is_array(given) or tuple(given.shape) != tuple(right.shape):
        return False
    one, other = (np.asarray(each.detach() if hasattr(each, "detach") else each) for each in (given, right))
    return one.dtype.kind == other.dtype.kind and np.allclose(one, other, rtol=relative, atol=1e-6, equal_nan=True)
