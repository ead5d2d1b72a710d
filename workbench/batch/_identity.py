"""What a row is, and what its result depends on: its name, its fingerprint, and why a result is no longer good.

The name follows from the notebook and the values; a row keeps it when the notebook is edited, so that an old result can be
told from a missing one. The fingerprint also holds the source of every code cell (not their outputs, no prose), the
library's version and the content of input files.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import __version__
from workbench.batch._declared import parameters_cell
from workbench.batch._stages import Stage, all_specs
from workbench.batch.grid import Grid, Point

if TYPE_CHECKING:
    from nbformat import NotebookNode

SLUG_CHARACTERS = 48
SEEDS = 2**31


@dataclass(frozen=True)
class Row:
    """One execution that is wanted."""

    row_id: str
    given: Point  # what is passed to the notebook
    values: Point  # with the notebook's defaults


def rows(stages: Sequence[Stage], grid: Grid) -> tuple[Row, ...]:
    """Return the rows of a grid, in its order."""
    specs, name = all_specs(stages), "+".join(stage.path.stem for stage in stages)
    defaults = {spec.name: spec.default for spec in specs}
    seeded = grid.base_seed is not None and "seed" in defaults
    found = []
    for point in grid.points:
        given = point | {"seed": _seed(grid.base_seed, point)} if seeded and "seed" not in point else point
        found.append(Row(row_id(name, given, defaults), given, defaults | given))
    return tuple(found)


def row_id(notebook: str, given: Point, defaults: Mapping[str, Any]) -> str:
    """Return a name that people can read (the values that aren't the defaults) with a hash that keeps it apart."""
    values = {**defaults, **given}
    told = [f"{name}={_short(value)}" for name, value in values.items() if value != defaults.get(name, ...)]
    slug = re.sub(r"[^A-Za-z0-9=._-]+", "-", "_".join(told)).strip("-._")[:SLUG_CHARACTERS] or "defaults"
    return f"{slug}-{digest({'notebook': notebook, 'values': values})}"


def cells(stages: Sequence[Stage]) -> list[list[Any]]:
    """Return place and hash of each code cell; the place is its number, and of which notebook where there are several."""
    return [
        [number if len(stages) == 1 else f"{number} of {stage.path.name}", digest(_code(cell, stage.source))]
        for stage in stages
        for number, cell in enumerate(stage.source.cells, 1)
        if cell.cell_type == "code"
    ]


def fingerprint(row: Row, digests: list[list[Any]], inputs: Mapping[str, str]) -> dict[str, Any]:
    """Return what the result of a row depends on, as plain data; `digests` as from `cells`, `inputs` as from `content`."""
    return {"cells": digests, "values": digest(row.values), "version": __version__, "inputs": dict(inputs)}


def why_stale(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return why a result that depends on `was` is not what `now` would give; empty when it is."""
    reasons = []
    before, after = [digest for _, digest in was.get("cells", [])], [digest for _, digest in now["cells"]]
    changed = [now["cells"][place][0] for place, pair in enumerate(zip(before, after)) if pair[0] != pair[1]]
    if len(before) != len(after):
        reasons.append(f"source has {len(after)} code cells, had {len(before)}")
    elif changed:
        reasons.append(f"source changed in cell {', '.join(map(str, changed))}")
    if was.get("values") != now["values"]:
        reasons.append("the values of its parameters changed")
    if was.get("version") != now["version"]:
        reasons.append(f"workbench was {was.get('version')}, is {now['version']}")
    known = was.get("inputs", {})
    reasons += [f"input {name} changed" for name, content in now["inputs"].items() if known.get(name) != content]
    return "; ".join(reasons)


def _code(cell: NotebookNode, source: NotebookNode) -> str:
    """Return what of a cell counts; of the parameters cell only what declares nothing, since values count by themselves."""
    if cell is not parameters_cell(source):
        return str(cell.source)
    rest = [node for node in ast.parse(cell.source).body if not isinstance(node, ast.Assign | ast.AnnAssign)]
    return "\n".join(map(ast.unparse, rest))


def content(path: Path) -> str:
    """Return the hash of a file's content; `missing` when there is none."""
    if not path.is_file():
        return "missing"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _short(value: Any) -> str:
    """Return a value in short: of a path its last part, without ending."""
    return Path(value).stem if isinstance(value, str) and "/" in value else str(value)


def _seed(base: int | None, point: Point) -> int:
    return int(digest([base, point]), 16) % SEEDS


def digest(value: Any) -> str:
    """Return ten hexadecimal digits of a plain value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:10]
