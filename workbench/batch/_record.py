"""The record of one row: what was executed, how it ended, what it measured. Validated when written and when read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.errors import ArtifactError
from workbench.nouns import SCHEMA
from workbench.store import write_json

Status = Literal["passed", "failed", "timeout", "oom_limit", "kernel_died", "error", "cancelled"]
State = Literal[
    "planned", "running", "passed", "failed", "timeout", "oom_limit", "kernel_died", "error", "cancelled", "skipped", "stale",
    "not_run",
]  # fmt: skip
CATEGORIES = ("assertion", "data", "dependency", "network", "memory", "disk", "timeout", "crash", "parameters", "other")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Metric(_Strict):
    """One recorded quantity; interval ends and n are None where there are none."""

    value: float
    unit: str = ""
    n: int | None = None
    lo: float | None = None
    hi: float | None = None
    better: Literal["lower", "higher", "neither"] = "neither"
    scope: str = ""  # the run of the store that it was measured on; empty when the notebook recorded it
    measured_alone: bool | None = None  # of timings; None = not a timing, or not known


class Problem(_Strict):
    """What ended a row early."""

    category: str  # of CATEGORIES
    name: str = ""  # class of the exception
    signature: str  # the same for errors that differ in digits and paths only
    cell: int = 0  # in the source, counted from 1; 0 = none
    notebook: str = ""  # which of several that a row executes; empty where there is one
    cell_excerpt: str = ""
    message: str
    traceback_tail: str = ""

    @property
    def where(self) -> str:
        """The cell, as in `cell 4` or `cell 4 of train.ipynb`; empty before the first."""
        return f"cell {self.cell}{f' of {self.notebook}' if self.notebook else ''}" if self.cell else ""


class Attempt(_Strict):
    """One execution of a row."""

    status: Status
    started: str
    duration_s: float
    message: str = ""


class Record(_Strict):
    """`record.json`. Moments are UTC in ISO 8601; durations wall seconds without pauses."""

    schema_: Literal[1] = Field(SCHEMA, alias="schema")  # type: ignore[arg-type]
    row_id: str
    notebook: str
    params: dict[str, Any]
    status: Status
    reason: str = ""  # why this status, where the status alone doesn't say
    attempts: list[Attempt]
    started: str
    ended: str
    duration_s: float
    cpu_s: float = 0.0
    sections: dict[str, float] = {}  # heading -> seconds of the cells below it
    timeout_s: float | None = None  # None = no limit
    peak_mb: float | None = None  # proportional memory of the process tree; None = ended before it was looked at
    metrics: dict[str, Metric] = {}
    runs: list[dict[str, str]] = []  # run_id and store of the runs that the notebook asked for
    artifacts: list[dict[str, Any]] = []  # path in the row's folder, sha256, bytes
    tables: list[dict[str, Any]] = []  # name, path in the row's folder, rows, columns
    error: Problem | None = None
    env_id: str
    host: str
    threads: int
    start: str = ""  # `forked`, or why it was a new interpreter
    seed: int | None = None
    measured_alone: bool | None = None  # None = nothing was timed through `exclusive`
    exclusive: list[dict[str, Any]] = []  # of each such time: measured_alone, load1, other_cpu (cores), governor
    fingerprint: dict[str, Any]

    @property
    def passed(self) -> bool:
        return self.status == "passed"


def write_record(folder: Path, record: Record) -> None:
    write_json(folder / "record.json", record.model_dump(by_alias=True))


def read_record(folder: Path) -> Record:
    """Read a row's record; raises ArtifactError when it is missing, broken or of another schema."""
    path = folder / "record.json"
    try:
        return Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ArtifactError(f"{path}: no record") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ArtifactError(f"{path}: not a readable record ({place}: {first['msg']})") from None
