"""Cuts a data set into its four seeded parts and proves that none overlap."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from workbench.errors import InvalidInput
from workbench.nouns import Examples, Splits

if TYPE_CHECKING:
    import numpy as np

PARTS = ("train", "validation", "calibration", "test")


def by_index(examples: Examples, parts: dict[str, np.ndarray]) -> Splits:
    """Return the splits for index arrays named train, validation, calibration, test; raises when two overlap."""
    check_disjoint(parts)
    return Splits(**{name: examples.take(index) for name, index in parts.items()})


def check_disjoint(parts: dict[str, np.ndarray]) -> None:
    """Raise InvalidInput when two parts share an example or one is empty."""
    seen: dict[int, str] = {}
    for name, index in parts.items():
        if len(index) == 0:
            raise InvalidInput([f"the {name} split is empty"], next_move="give more examples or another split")
        for position in index.tolist():
            if seen.setdefault(position, name) != name:
                raise InvalidInput([f"example {position} is in both {seen[position]} and {name}"])


def stratified(targets: np.ndarray, sizes: dict[str, int], *, seed: int) -> dict[str, np.ndarray]:
    """Deal example indices out so that every part has each class in proportion; `sizes` must sum to len(targets).

    Classes are shuffled, then all examples are ordered by their relative rank within their class and cut in that order:
    each consecutive piece is proportional to within one example a class.
    """
    import numpy as np

    assert sum(sizes.values()) == len(targets)
    random = np.random.default_rng(seed)
    rank = np.empty(len(targets))
    for label in np.unique(targets):
        members = random.permutation(np.flatnonzero(targets == label))
        rank[members] = (np.arange(len(members)) + random.random()) / len(members)
    order = np.argsort(rank, kind="stable")
    ends = np.cumsum(list(sizes.values()))
    pieces = np.split(order, ends[:-1])
    return {name: np.sort(piece) for name, piece in zip(sizes, pieces)}


def sizes(num_examples: int) -> dict[str, int]:
    """Return how many of `num_examples` go to each part (60, 10, 10 and 20 %), every part at least one."""
    small, test = max(1, num_examples // 10), max(1, num_examples // 5)
    return {"train": num_examples - 2 * small - test, "validation": small, "calibration": small, "test": test}


def from_given(given: Mapping[str, Examples], *, seed: int) -> Splits:
    """Return splits from parts that somebody else cut; raises when two share an example or one is missing.

    Train and test must be there; a validation or calibration part that isn't is taken out of train (a tenth of it).
    """
    import numpy as np

    absent = [name for name in ("train", "test") if name not in given]
    if absent:
        raise InvalidInput([f"no {' and no '.join(absent)} part"], next_move="give at least train and test")
    parts = dict(given)
    wanted = [name for name in ("validation", "calibration") if name not in parts]
    num_train = len(parts["train"])
    cut = {name: max(1, num_train // 10) for name in wanted}
    left = num_train - sum(cut.values())
    if left < 1:
        raise InvalidInput([f"{num_train} train examples are too few to take {' and '.join(wanted)} out of"])
    classes = parts["train"].targets if parts["train"].targets.ndim == 1 else np.zeros(num_train, np.int64)
    for name, index in stratified(classes, {"train": left, **cut}, seed=seed).items():
        parts[name] = given["train"].take(index)
    check_distinct(parts)
    return Splits(**{name: parts[name] for name in PARTS})


def check_distinct(parts: Mapping[str, Examples]) -> None:
    """Raise InvalidInput when the same example, bit for bit, is in two parts."""
    owner: dict[bytes, str] = {}
    shared: dict[tuple[str, str], int] = {}
    for name in PARTS:
        examples = parts[name]
        arrays = [array.reshape(len(examples), -1) for _, array in sorted(examples.inputs.items())]
        for position in range(len(examples)):
            key = hashlib.sha256(b"".join(array[position].tobytes() for array in arrays)).digest()
            first = owner.setdefault(key, name)
            if first != name:
                shared[first, name] = shared.get((first, name), 0) + 1
    problems = [f"{count} examples are in both {first} and {second}" for (first, second), count in shared.items()]
    if problems:
        raise InvalidInput(problems, next_move="remove the duplicates, or figures on the test part would be too good")


def planned(given: Mapping[str, int]) -> dict[str, int]:
    """Return the part sizes that `from_given` (or `sizes`, when all examples are in the part "") will make."""
    if "" in given:
        return sizes(given[""])
    counts = dict(given)
    for name in ("validation", "calibration"):
        if name not in given:
            counts[name] = max(1, given["train"] // 10)
            counts["train"] -= counts[name]
    return {name: counts[name] for name in PARTS}
