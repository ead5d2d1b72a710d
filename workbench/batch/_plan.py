"""What a batch would do: the rows of a notebook and a grid, which of them are done, and why others are done again."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from workbench._where import parse
from workbench.batch import grid as grids
from workbench.batch._declared import problems
from workbench.batch._folder import Folder
from workbench.batch._identity import Row, cells, content, fingerprint, rows, why_stale
from workbench.batch._record import Record
from workbench.batch._runner import Wanted
from workbench.batch._stages import Stage, all_specs, all_warnings, given_to, read_stages
from workbench.batch.grid import PYTHON_KINDS, Source, read_grid
from workbench.errors import InvalidInput
from workbench.nouns import SCHEMA
from workbench.params import ParamSpec

Only = Literal["all", "failed", "missing", "stale"]


@dataclass(frozen=True)
class Plan:
    """A notebook, those that follow it, and the rows that are wanted of them."""

    stages: tuple[Stage, ...]
    rows: tuple[Row, ...]
    inputs: tuple[str, ...] = ()

    @property
    def notebook(self) -> Path:
        """The first one, which the batch is named after."""
        return self.stages[0].path

    @property
    def then(self) -> list[str]:
        """The notebooks that follow it."""
        return [str(stage.path.absolute()) for stage in self.stages[1:]]

    @property
    def specs(self) -> tuple[ParamSpec, ...]:
        return all_specs(self.stages)

    @property
    def warnings(self) -> list[str]:
        return all_warnings(self.stages)

    def parts(self, row: Row) -> tuple[tuple[str, dict[str, Any]], ...]:
        """Return, in order, the notebooks of a row and what each is given."""
        given = given_to(self.stages, row.given, row.values)
        return tuple((str(stage.path.resolve()), each) for stage, each in zip(self.stages, given))

    def fingerprint(self, row: Row) -> dict[str, Any]:
        """Return what the result of a row depends on, as it is now."""
        folder = self.notebook.resolve().parent
        named = [str(row.values.get(name, name)) for name in self.inputs]
        return fingerprint(row, self._cells, {name: self._content(folder / name) for name in named})

    @cached_property
    def _cells(self) -> list[list[Any]]:
        return cells(self.stages)

    @cached_property
    def _content(self) -> Callable[[Path], str]:
        return functools.cache(content)

    def to_json(self) -> dict[str, Any]:
        """Return what a later runner needs to go on without the grid."""
        return {
            "schema": SCHEMA, "notebook": str(self.notebook.absolute()), "stages": self.then, "inputs": list(self.inputs),
            "rows": [{"row_id": row.row_id, "given": row.given} for row in self.rows],
        }  # fmt: skip


@dataclass(frozen=True)
class Sorted:
    """The rows of a plan by what is to be done with them."""

    wanted: tuple[Wanted, ...]
    done: Mapping[str, Record]  # passed, and nothing that they depend on has changed
    left_out: Mapping[str, str]  # row id -> why not now

    @property
    def seconds(self) -> float | None:
        """The median time of a row that has run; None when none has."""
        took = [record.duration_s for record in self.done.values()]
        return statistics.median(took) if took else None


def make_plan(
    notebook: Path, grid: Source | None = None, pairs: Sequence[str] = (), then: Sequence[str | Path] = ()
) -> Plan:
    """Read a notebook, those that follow it (as seen from here; the grid's from its folder), and a grid.

    Raises InvalidInput with every problem of all of them.
    """
    named, grid = grids.stages(grid)
    stages = read_stages(notebook, [*named, *(Path(each).absolute() for each in then)])
    read_points = read_grid(all_specs(stages), grid, pairs)
    if found := [each for stage in stages[1:] for each in _unfit(stage, read_points.points)]:
        raise InvalidInput(list(dict.fromkeys(found)))
    return Plan(stages, rows(stages, read_points), read_points.inputs)


def _unfit(stage: Stage, points: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what of the points a later stage doesn't take, though the first that declares it does."""
    names = {spec.name for spec in stage.specs}
    for point in points:
        own = {name: value for name, value in point.items() if name in names}
        yield from (f"{stage.path.name}: {each}" for each in problems(stage.specs, own))


def stored_plan(folder: Folder) -> Plan:
    """Return the plan that a folder was made for, with its notebook as it is now."""
    record = folder.plan()
    stages = read_stages(Path(record["notebook"]), record.get("stages", ()))
    points = read_grid(all_specs(stages), [row["given"] for row in record["rows"]])
    return Plan(stages, rows(stages, points), tuple(record["inputs"]))


def sort_out(plan: Plan, folder: Folder | None, *, force: bool = False, only: Only = "all", where: str = "") -> Sorted:
    """Decide for each row whether it is to be executed, without a folder all; raises InvalidInput for a `where` that can't be read."""
    fits = predicate(where, plan.specs) if where else lambda values: True
    records = folder.records(row.row_id for row in plan.rows) if folder else {}
    wanted: list[Wanted] = []
    done: dict[str, Record] = {}
    left_out: dict[str, str] = {}
    for row in plan.rows:
        record, now = records.get(row.row_id), plan.fingerprint(row)
        stale = why_stale(record.fingerprint, now) if record and record.passed else ""
        kind, why = _kind(record, stale)
        if kind == "done" and not force:
            done[row.row_id] = record  # type: ignore[assignment]  # a done row has a record
        elif not fits(row.values):
            left_out[row.row_id] = f"not {where}"
        elif only not in ("all", kind):
            left_out[row.row_id] = f"not {only}"
        else:
            wanted.append(Wanted(row, now, plan.parts(row), why or ("asked for (--force)" if record else "")))
    return Sorted(tuple(wanted), done, left_out)


def predicate(text: str, specs: Sequence[ParamSpec]) -> Callable[[Mapping[str, Any]], bool]:
    """Return what a `--where` on parameters spells."""
    return parse(text, {spec.name: PYTHON_KINDS[spec.kind] for spec in specs if spec.kind in PYTHON_KINDS})


def _kind(record: Record | None, stale: str) -> tuple[str, str]:
    """Return what a row is (done, missing, failed, stale), and in words why it has to be executed again."""
    if record is None:
        return "missing", ""
    if not record.passed:
        return "failed", f"was {record.status}"
    return ("stale", stale) if stale else ("done", "")
