"""One CSV file: its columns as text, checked, and the split that it names itself."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.data import _splits
from workbench.errors import InvalidInput
from workbench.nouns import Examples, Splits
from workbench.params import did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

PART_NAMES = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
              "calibration": "calibration", "test": "test"}  # fmt: skip


def read(path: str) -> pd.DataFrame:
    """Return the file with every cell as text; raises InvalidInput that says what is wrong with it."""
    file = Path(path).expanduser()
    try:
        facts = file.stat()
    except OSError as error:
        problem = f"no file {path!r}: {error.strerror} (relative paths start at {str(Path.cwd())!r})"
        raise InvalidInput([problem]) from None
    return _read(file, facts.st_mtime_ns, facts.st_size)


def column(table: pd.DataFrame, name: str, what: str) -> list[str]:
    """Return a column; raises InvalidInput naming those there are."""
    if name not in table.columns:
        known = ", ".join(map(str, table.columns))
        raise InvalidInput([f"{what}: no column {name!r}{did_you_mean(name, list(table.columns))}; there are {known}"])
    return list(table[name])


def labels_of(values: list[str]) -> tuple[str, ...]:
    """Return the classes, whole numbers in their order and words by name; raises when there are fewer than two."""
    found = set(values)
    if "" in found:
        raise InvalidInput([f"{values.count('')} rows have no label"], next_move="fill them in or remove the rows")
    if len(found) < 2:
        raise InvalidInput([f"all rows have the label {values[0]!r}; two classes or more are needed"])
    if len(found) > len(values) // 2:
        raise InvalidInput([f"{len(found)} labels in {len(values)} rows: this column holds no classes"])
    return tuple(sorted(found, key=lambda label: (0, int(label), "") if label.lstrip("-").isdigit() else (1, 0, label)))


def targets_of(table: pd.DataFrame, label: str) -> np.ndarray:
    """Return the number of each row's class, int64."""
    import numpy as np

    named = column(table, label, "label")
    number = {name: index for index, name in enumerate(labels_of(named))}
    return np.array([number[name] for name in named], np.int64)


def parts_of(table: pd.DataFrame, split_column: str) -> dict[str, np.ndarray]:
    """Return part → row numbers as the file names them; all rows under "" when it names none."""
    import numpy as np

    if not split_column:
        return {"": np.arange(len(table))}
    named = [name.strip().lower() for name in column(table, split_column, "split_column")]
    if strange := sorted({name for name in named if name not in PART_NAMES}):
        raise InvalidInput([f"{split_column}: {strange[0]!r} is none of {', '.join(PART_NAMES)}"])
    parts = np.array([PART_NAMES[name] for name in named])
    found = {part: np.flatnonzero(parts == part) for part in _splits.PARTS if (parts == part).any()}
    if not {"train", "test"} <= set(found):
        raise InvalidInput([f"{split_column} names {', '.join(found)}; at least train and test are needed"])
    return found


def planned(table: pd.DataFrame, split_column: str) -> dict[str, int]:
    """Return the part sizes that `split` will make."""
    return _splits.planned({part: len(index) for part, index in parts_of(table, split_column).items()})


def split(examples: Examples, parts: Mapping[str, np.ndarray], *, seed: int) -> Splits:
    """Cut by the file's own parts, else by seed with every class in each part."""
    if "" in parts:
        return _splits.by_index(examples, planned_index(examples.targets, seed=seed))
    return _splits.from_given({part: examples.take(index) for part, index in parts.items()}, seed=seed)


def planned_index(targets: np.ndarray, *, seed: int) -> dict[str, np.ndarray]:
    return _splits.stratified(targets, _splits.sizes(len(targets)), seed=seed)


@functools.lru_cache(maxsize=8)
def _read(file: Path, _changed_ns: int, _num_bytes: int) -> pd.DataFrame:
    import pandas as pd

    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except UnicodeDecodeError as error:
        raise InvalidInput([f"{file} is not UTF-8 text: {error}"], next_move="save it again as UTF-8") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OSError) as error:
        raise InvalidInput([f"{file} can't be read as CSV: {error}"]) from None
    if len(table) < 10:
        raise InvalidInput([f"{file} has {len(table)} rows; ten or more are needed for four parts"])
    return table.apply(lambda values: values.str.strip())
