"""What comes of jobs: costs that were predicted, measurements, artifacts, runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from typing import Any, Literal

SCHEMA = 1  # of job, run, event and card records

Status = Literal["planned", "running", "done", "failed", "cancelled", "lost"]


@dataclass(frozen=True)
class Cost:
    """Predicted cost of a model before anything runs."""

    artifact_bytes: int
    dense_bytes: int
    nonzero_params: int
    macs: int | None
    latency_ms_low: float | None = None
    latency_ms_high: float | None = None
    memory_bytes: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measurement:
    """One measured quantity with everything needed to read it: unit, direction, interval, n, conditions, samples."""

    name: str
    unit: str
    better: Literal["lower", "higher", "neither"]
    value: float
    lo: float | None = None  # ends of the interval; None where a value is exact
    hi: float | None = None
    interval: str = ""  # which interval: wilson95, "bootstrap95 of median"
    k: int | None = None  # successes, for shares
    n: int | None = None  # examples or samples behind the value
    samples_in: str = ""  # npz file in the run folder that keeps every sample
    conditions: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the record form: absent fields left out, `conditions` always there."""
        filled = {key: value for key, value in asdict(self).items() if value is not None and value != ""}
        return {**filled, "conditions": dict(self.conditions)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Measurement:
        """Take over a record as it was read; raises TypeError on a foreign shape."""
        if not _is_measurement(tuple(record)):
            raise TypeError(f"not a measurement: {sorted(map(str, record.keys() ^ _NEEDED))}")
        record.setdefault("conditions", {})
        made = object.__new__(cls)
        object.__setattr__(
            made, "__dict__", record
        )  # a table reads a million; the frozen __init__ takes five times as long
        return made


_NEEDED = {"name", "unit", "better", "value"}


@lru_cache(maxsize=1024)
def _is_measurement(names: tuple[str, ...]) -> bool:
    """Say whether a record with these keys is one; runs have a dozen shapes of them."""
    return _NEEDED <= set(names) <= {field.name for field in fields(Measurement)}


@dataclass(frozen=True)
class Artifact:
    """A saved model: a folder that opens without this library."""

    folder: str  # absolute path
    card: Mapping[str, Any]  # card.json
    files: Mapping[str, bytes] | None = None  # content by path, when it is in memory; None = it lies in `folder`

    @property
    def format(self) -> str:
        return str(self.card["format"])


@dataclass(frozen=True)
class Run:
    """One carried-out job. Written once; `folder` is where it lies (not part of the record)."""

    run_id: str
    job_id: str
    status: Status
    job: Mapping[str, Any]
    parent: str | None = None  # run id of the same model as trained, same format; None for that run itself
    reference: str | None = None  # run id of that model's fp32 ONNX
    error: Mapping[str, Any] | None = None  # kind, signal, message, next, traceback; None unless failed
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    data_sha256: str = ""
    started: str = ""  # UTC, ISO 8601
    ended: str = ""
    cpu_seconds: Mapping[str, float] = field(default_factory=dict)
    cached: tuple[str, ...] = ()  # steps taken from the prefix cache
    controls: Mapping[str, Any] = field(default_factory=dict)  # e.g. the student trained alone beside a distilled one
    measurements: tuple[Measurement, ...] = ()
    artifact: str = ""  # "artifact/" when there is one
    log: str = ""
    folder: str = ""

    def get(self, name: str, **conditions: Any) -> Measurement | None:
        """Return the first measurement called `name` whose conditions include `conditions`; None if absent."""
        for found in self.measurements:
            if found.name == name and all(found.conditions.get(key) == value for key, value in conditions.items()):
                return found
        return None

    def to_json(self) -> dict[str, Any]:
        """Return the record as written to run.json."""
        record = {key: value for key, value in asdict(self).items() if key not in ("folder", "measurements")}
        record["cached"] = list(self.cached)
        record["measurements"] = [measurement.to_json() for measurement in self.measurements]
        return {"schema": SCHEMA, **record}

    @classmethod
    def from_json(cls, record: Mapping[str, Any], *, folder: str = "") -> Run:
        """Read a record; raises TypeError or KeyError on a foreign shape (the store reports and skips those)."""
        values = {key: value for key, value in record.items() if key != "schema"}
        values["measurements"] = tuple(map(Measurement.from_json, values.get("measurements", ())))
        values["cached"] = tuple(values.get("cached", ()))
        return cls(**values, folder=folder)
