"""Columns of a table as numbers: scaled by what the train part says, words as one 0/1 column each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MOST_WORDS = 100  # in one column; more are no classes but names or texts


def features(table: pd.DataFrame) -> list[str]:
    """Return the name of each input column, as `size` or `colour=red`; raises InvalidInput for columns that can't be used."""
    found, problems = [], []
    for name in table.columns:
        words = _words(table[name])
        if words is None:
            found.append(str(name))
        elif len(words) > MOST_WORDS:
            problems.append(
                f"column {name!r} holds {len(words)} different words (at most {MOST_WORDS} can be told apart)"
            )
        else:
            found += [f"{name}={word}" for word in words]
    if problems:
        raise InvalidInput(problems, next_move="name them in ignored")
    return found


def values(table: pd.DataFrame, *, fitted_on: np.ndarray) -> np.ndarray:
    """Return (rows, features) float32; means and deviations come from the rows `fitted_on` alone."""
    import numpy as np

    features(table)
    columns = []
    for name in table.columns:
        words = _words(table[name])
        if words is None:
            numbers = np.array([float(cell) if cell else np.nan for cell in table[name]])
            known = numbers[fitted_on][~np.isnan(numbers[fitted_on])]
            mean, deviation = (known.mean(), known.std()) if len(known) else (0.0, 0.0)
            columns.append(np.nan_to_num((numbers - mean) / (deviation or 1.0)))
        else:
            columns += [(table[name] == word).to_numpy() for word in words]
    return np.stack(columns, axis=1).astype(np.float32)


def _words(column: pd.Series) -> list[str] | None:
    """Return the different words of a column, sorted; None when all of its cells are finite numbers or empty."""
    import math

    found = sorted(set(column) - {""})
    try:
        return None if all(math.isfinite(float(each)) for each in found) else found
    except ValueError:
        return found
