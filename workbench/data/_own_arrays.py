"""Turns what a person's function returned into Examples, or says everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.data import _splits
from workbench.errors import InvalidInput
from workbench.nouns import Examples, Splits

if TYPE_CHECKING:
    import numpy as np

IGNORED = -100


def checked(function: Callable[..., Any], options: Mapping[str, Any], name: str, task: str) -> dict[str, Examples]:
    """Call `function(**options)` and return part → Examples; all are in the part "" when it split nothing."""
    try:
        found = function(**options)
    except TypeError as error:
        raise InvalidInput([f"{name} can't be called with options {dict(options)}: {error}"]) from error
    if isinstance(found, Splits):
        found = {part: getattr(found, part) for part in _splits.PARTS}
    problems: list[str] = []
    whole = not (isinstance(found, Mapping) and {"train", "test"} <= set(found))
    given = {"": found} if whole else {part: found[part] for part in _splits.PARTS if found.get(part) is not None}
    parts = {
        part: examples(value, f"{name}{f', {part} part' if part else ''}", task, problems)
        for part, value in given.items()
    }
    if problems:
        raise InvalidInput(problems, next_move='return (inputs, targets), or {"train": (inputs, targets), "test": (…)}')
    return {part: found for part, found in parts.items() if found is not None}


def num_classes(parts: Mapping[str, Examples], stated: int | None, *, labels: Sequence[str]) -> int:
    """Return `stated`, or one more than the largest target; raises InvalidInput when these contradict each other."""
    largest = max(int(part.targets.max()) for part in parts.values())
    problems = []
    if stated is not None and largest >= stated:
        problems.append(f"the largest target is {largest}, so there are at least {largest + 1} classes, not {stated}")
    if stated is not None and labels and len(labels) != stated:
        problems.append(f"num_classes={stated}, but {len(labels)} labels")
    if problems:
        raise InvalidInput(problems)
    return stated or largest + 1


def examples(value: Any, where: str, task: str, problems: list[str]) -> Examples | None:
    """Return Examples of (inputs, targets); None after adding what is wrong to `problems`."""
    if isinstance(value, Examples):
        value = (value.inputs, value.targets)
    if not (isinstance(value, tuple | list) and len(value) == 2) and task in ("language-modelling", "unlabelled"):
        value = (value, None)
    if not (isinstance(value, tuple | list) and len(value) == 2):
        problems.append(f"{where}: is {type(value).__name__}, not (inputs, targets)")
        return None
    inputs = _inputs(value[0], where, problems)
    if not inputs:
        return None
    inputs, targets = _with_targets(inputs, value[1], where, task, problems)
    counts = {len(array) for array in (*inputs.values(), targets)}
    if len(counts) > 1 or counts == {0}:
        named = {**{name: len(array) for name, array in inputs.items()}, "targets": len(targets)}
        problems.append(f"{where}: needs one target for each of one or more examples, has {named}")
    return Examples(inputs, targets)


def _inputs(value: Any, where: str, problems: list[str]) -> dict[str, np.ndarray]:
    import numpy as np

    if not isinstance(value, Mapping):
        array = np.asarray(value)
        value = {"tokens" if array.dtype.kind in "iu" and array.ndim == 2 else "pixels": array}
    inputs = {}
    for name, raw in value.items():
        array = np.asarray(raw)
        if array.ndim < 2 or array.dtype.kind not in "fiub":
            problems.append(
                f"{where}: input {name!r} has shape {array.shape} and dtype {array.dtype}; numbers (N, …) are needed"
            )
        elif array.dtype.kind == "f" and not np.isfinite(array).all():
            problems.append(f"{where}: input {name!r} holds NaN or infinity")
        else:
            wanted = np.int64 if array.dtype.kind in "iu" and name != "pixels" else np.float32
            inputs[str(name)] = np.ascontiguousarray(array, wanted)
    return inputs if len(inputs) == len(value) else {}


def _with_targets(
    inputs: dict[str, np.ndarray], raw: Any, where: str, task: str, problems: list[str]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return inputs and int64 targets; made from the tokens, or all ignored, where the task allows none to be given."""
    import numpy as np

    num = len(next(iter(inputs.values())))
    if task == "unlabelled":
        return inputs, np.full(num, IGNORED, np.int64)
    if raw is None and task == "language-modelling" and "tokens" in inputs:
        return {**inputs, "tokens": inputs["tokens"][:, :-1].copy()}, inputs["tokens"][:, 1:].copy()
    targets = np.asarray(raw)
    axes = 2 if task == "language-modelling" else 1
    if targets.dtype.kind not in "iu" or targets.ndim != axes:
        what = "token numbers (N, T)" if axes == 2 else "class numbers (N,)"
        problems.append(f"{where}: targets have shape {targets.shape} and dtype {targets.dtype}; {what} are needed")
        return inputs, np.zeros(num, np.int64)
    if targets.size and (int(targets.min()) < 0 and set(np.unique(targets[targets < 0])) != {IGNORED}):
        problems.append(f"{where}: targets hold negative numbers; only {IGNORED} (ignore) may be negative")
    return inputs, np.ascontiguousarray(targets, np.int64)
