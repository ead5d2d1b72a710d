"""The points of a batch: a YAML file of axes, a CSV file of rows, or words of the command line, as typed values.

base: {epochs: 20}            # every point has these
axes: {bits: [2, 4, 8]}       # every combination of these
zip: {size: [8, 16], width: [32, 64]}   # these go together, one pair after the other
seeds: 0..4                   # an axis of the parameter `seed`
exclude: bits = 2 and size = 16         # or a list of such expressions
include: [{bits: 32}]         # further points
sample: {n: 10, seed: 0}      # so many of them, drawn without replacement
base_seed: 7                  # a `seed` for each point, derived from this number and the point
inputs: [data_file]           # parameters or paths whose files count by content: changed means done again
stages: [train.ipynb, report.ipynb]     # notebooks that follow in each row, in its folder; a parameter goes to all that declare it
"""

from __future__ import annotations

import csv
import itertools
import json
import math
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench._where import parse
from workbench.batch._declared import NUMBER, problems
from workbench.errors import InvalidInput
from workbench.params import ParamSpec, did_you_mean, parse_value

KEYS = ("base", "axes", "zip", "seeds", "exclude", "include", "sample", "base_seed", "inputs", "stages")
RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
MOST_POINTS = 100_000
PYTHON_KINDS: dict[str, type] = {"bool": bool, "int": int, "float": float, "str": str}

Point = dict[str, Any]
Source = Path | str | Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""A YAML or CSV file, what such a YAML file holds, or a list of points."""


@dataclass(frozen=True)
class Grid:
    """What is to be executed: the values given to each execution, each combination once."""

    points: tuple[Point, ...]
    inputs: tuple[str, ...] = ()
    base_seed: int | None = None  # None = a point that is given no seed takes the notebook's


def read_grid(specs: tuple[ParamSpec, ...], source: Source | None = None, pairs: Sequence[str] = ()) -> Grid:
    """Return the points that a grid (None = a point of defaults) and `name=value` words spell.

    Words win over the grid: `bits=4,8` and `seed=0..4` are axes, `bits=4` is one value for all, `name="a,b"` one text. Raises InvalidInput with
    every problem of keys, names, types, choices, ranges and expressions at once.
    """
    reading = _Reading({spec.name: spec for spec in specs})
    record = _record(source, reading)
    words = _words(pairs, reading)
    points = [point | extra for point in _points(record, reading) for extra in _product(words)]
    points = _sample(record, _kept(record, points, reading), reading)
    if not points and not reading.found:
        reading.found.append("the grid has no point left")
    reading.found += _wrong_values(specs, points)
    if reading.found:
        hint = "workbench batch describe NOTEBOOK lists its parameters"
        raise InvalidInput(list(dict.fromkeys(reading.found)), next_move=hint)
    defaults = {spec.name: spec.default for spec in specs}
    once = {json.dumps(defaults | point, sort_keys=True, default=str): point for point in points}
    return Grid(tuple(once.values()), tuple(map(str, record.get("inputs") or ())), record.get("base_seed"))


def stages(source: Source | None) -> tuple[list[str], Source | None]:
    """Return the notebooks that a grid lets follow, and the grid as far as it was read for that."""
    if isinstance(source, str | Path) and Path(source).suffix != ".csv" and Path(source).is_file():
        reading = _Reading({})
        record = _yaml(Path(source), reading)
        source = source if reading.found else record
    named = source.get("stages") if isinstance(source, Mapping) else None
    return [str(each) for each in named] if isinstance(named, list) else [], source


@dataclass
class _Reading:
    """A grid while it is read; `found` gathers everything that is wrong with it."""

    specs: Mapping[str, ParamSpec]
    found: list[str] = field(default_factory=list)

    def typed(self, name: str, value: Any) -> Any:
        """Return a value as its parameter wants it: numbers that YAML leaves as text (1e5) become numbers."""
        spec = self.specs.get(name)
        is_number = isinstance(value, str) and re.fullmatch(NUMBER, value) is not None
        return parse_value(spec, value) if spec and spec.kind in ("int", "float") and is_number else value

    def mapping(self, value: Any, key: str) -> dict[str, Any]:
        if value is None or isinstance(value, Mapping):
            return {str(name): self.typed(str(name), each) for name, each in (value or {}).items()}
        self.found.append(f"{key}: must be a mapping of parameters, is {value!r}")
        return {}

    def axes(self, value: Any, key: str) -> dict[str, list[Any]]:
        axes = {}
        for name, written in self.mapping(value, key).items():
            values = _whole_range(written) if isinstance(written, str) else written
            if not isinstance(values, list) or not values:
                self.found.append(f"{key}: {name} needs a list of values or a range as in 0..4, given {written!r}")
            else:
                axes[name] = [self.typed(name, each) for each in values]
        return axes


# ── what is written ──


def _record(source: Source | None, reading: _Reading) -> Mapping[str, Any]:
    """Return the grid as a mapping; a list of points is a grid that has only `include`."""
    record: Any = source or {}
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.is_file():
            reading.found.append(f"no grid file {path}")
            return {}
        record = _csv_points(path, reading) if path.suffix == ".csv" else _yaml(path, reading)
    record = record if isinstance(record, Mapping) else {"include": record}
    unknown = [str(key) for key in record if key not in KEYS]
    reading.found += [f"unknown key {key!r} of a grid{did_you_mean(key, KEYS)}" for key in unknown]
    for key, kind, words in (
        ("inputs", list, "a list of names"),
        ("stages", list, "a list of notebooks"),
        ("base_seed", int, "a whole number"),
    ):
        if not isinstance(record.get(key) or kind(), kind):
            reading.found.append(f"{key}: must be {words}, is {record[key]!r}")
    return record


def _yaml(path: Path, reading: _Reading) -> Any:
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reading.found.append(f"{path} is not YAML: {' '.join(str(error).split())}")
        return {}


def _csv_points(path: Path, reading: _Reading) -> list[Point]:
    """Return one point per line, typed by what the notebook declares; an empty cell leaves the default."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    points = []
    for number, line in enumerate(lines, 2):
        if None in line or None in line.values():
            reading.found.append(f"{path}, line {number}: has another number of cells than the header")
            continue
        points.append({name: _from_text(name, text, reading) for name, text in line.items() if text != ""})
    return points


def _words(pairs: Sequence[str], reading: _Reading) -> dict[str, list[Any]]:
    """Return each name with its values; a comma separates values, but in the value of a list and between quotes."""
    reading.found += [f"{pair!r} is not name=value" for pair in pairs if "=" not in pair]
    axes: dict[str, list[Any]] = {}
    for name, text in (pair.split("=", 1) for pair in pairs if "=" in pair):
        kind = reading.specs[name].kind if name in reading.specs else ""
        if text[:1] == text[-1:] == '"' and len(text) > 1:
            axes[name] = [text[1:-1]]
            continue
        numbers = _whole_range(text) if kind in ("int", "") else None
        texts = [text] if kind in ("list", "mapping") else text.split(",")
        axes[name] = numbers or [_from_text(name, each, reading) for each in texts]
    return axes


def word(name: str, value: Any) -> str:
    """Return the `name=value` that spells one value: text that a comma would part, or that looks like none, in quotes."""
    if isinstance(value, dict):
        return f"{name}={json.dumps(value)}"
    if isinstance(value, list | tuple):
        return f"{name}={','.join(map(str, value))}"
    needs_quotes = isinstance(value, str) and (
        "," in value or value[:1] == '"' or value.lower() in ("none", "null", "")
    )
    return f'{name}="{value}"' if needs_quotes else f"{name}={value}"


def _from_text(name: str, text: str, reading: _Reading) -> Any:
    spec = reading.specs.get(name)
    if spec is None or spec.kind != "mapping":
        return parse_value(spec, text) if spec else text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _whole_range(text: str) -> list[int] | None:
    """Return the whole numbers of `0..4`, both ends included; None when the text is no range."""
    found = RANGE.fullmatch(text.strip())
    if not found or abs(int(found[2]) - int(found[1])) > MOST_POINTS:
        return None
    return list(range(int(found[1]), int(found[2]) + 1))


# ── the points ──


def _points(record: Mapping[str, Any], reading: _Reading) -> list[Point]:
    base, axes = reading.mapping(record.get("base"), "base"), reading.axes(record.get("axes"), "axes")
    if record.get("seeds") is not None:
        axes |= reading.axes({"seed": record["seeds"]}, "seeds")
    zipped = reading.axes(record.get("zip"), "zip")
    lengths = {name: len(values) for name, values in zipped.items()}
    if len(set(lengths.values())) > 1:
        reading.found.append(
            f"zip: the lists differ in length: {', '.join(f'{n} has {k}' for n, k in lengths.items())}"
        )
        zipped = {}
    size = math.prod(map(len, axes.values())) * (min(lengths.values(), default=1))
    if size > MOST_POINTS:
        reading.found.append(f"axes: {size:,} points, more than {MOST_POINTS:,}")
        return []
    together = [dict(zip(zipped, values)) for values in zip(*zipped.values())] or [{}]
    combined = [base | point | pair for point in _product(axes) for pair in together]
    is_only_include = "include" in record and not axes and not zipped
    included = record.get("include") or []
    if not isinstance(included, Sequence) or isinstance(included, str):
        reading.found.append(f"include: must be a list of points, is {included!r}")
        included = []
    return ([] if is_only_include else combined) + [base | reading.mapping(point, "include") for point in included]


def _product(axes: Mapping[str, list[Any]]) -> Iterable[Point]:
    return [dict(zip(axes, values)) for values in itertools.product(*axes.values())]


def _kept(record: Mapping[str, Any], points: list[Point], reading: _Reading) -> list[Point]:
    """Drop what `exclude` says."""
    written = record.get("exclude") or []
    kinds = {name: PYTHON_KINDS[spec.kind] for name, spec in reading.specs.items() if spec.kind in PYTHON_KINDS}
    defaults = {spec.name: spec.default for spec in reading.specs.values()}
    for text in [written] if isinstance(written, str) else written:
        try:
            excluded = parse(str(text), kinds)
        except InvalidInput as error:
            reading.found += [f"exclude: {problem}" for problem in error.problems]
            continue
        points = [
            point
            for point in points
            if _wrong_values(tuple(reading.specs.values()), [point]) or not excluded(defaults | point)
        ]
    return points


def _sample(record: Mapping[str, Any], points: list[Point], reading: _Reading) -> list[Point]:
    written = record.get("sample")
    if written is None:
        return points
    if not isinstance(written, Mapping) or not isinstance(written.get("n"), int) or set(written) - {"n", "seed"}:
        reading.found.append(f"sample: must be {{n: how many, seed: a number}}, is {written!r}")
        return points
    if written["n"] >= len(points):
        return points
    chosen = random.Random(written.get("seed", 0)).sample(range(len(points)), max(0, written["n"]))
    return [points[place] for place in sorted(chosen)]


def _wrong_values(specs: tuple[ParamSpec, ...], points: Sequence[Point]) -> list[str]:
    """Return the problems of all points, each once however many points share it."""
    return list(dict.fromkeys(problem for point in points for problem in problems(specs, point)))
