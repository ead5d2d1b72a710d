"""A batch as a table: one line per row with `param.*`, `metric.*` and `meta.*`; ragged where rows recorded different things."""

from __future__ import annotations

import csv
import importlib.util
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from workbench.batch._record import Metric
from workbench.batch.views import Batch, Line, View
from workbench.errors import MissingExtra

if TYPE_CHECKING:
    import pandas as pd

ENDS = ("lo", "hi", "n")
DTYPES = {
    frozenset({bool}): "boolean", frozenset({int}): "Int64", frozenset({float}): "Float64", frozenset({int, float}): "Float64",
    frozenset({str}): "string",
}  # fmt: skip


def flat(view: View) -> dict[str, Any]:
    """Return one row as columns; what is not known is left out."""
    record = view.record
    found = {"meta.row_id": view.row_id, "meta.status": view.state, "meta.reason": view.why or None}
    found |= {f"param.{name}": value for name, value in view.values.items()}
    if record is None:
        return found
    found |= metric_columns(record.metrics)
    return found | {
        "meta.started": record.started, "meta.ended": record.ended, "meta.duration_s": record.duration_s,
        "meta.cpu_s": record.cpu_s, "meta.peak_mb": record.peak_mb, "meta.attempts": len(record.attempts),
        "meta.threads": record.threads, "meta.measured_alone": record.measured_alone, "meta.host": record.host,
        "meta.env_id": record.env_id, "meta.runs": [run["run_id"] for run in record.runs],
        "meta.error": record.error.message if record.error else None,
        "meta.error_category": record.error.category if record.error else None,
        "meta.error_cell": record.error.cell if record.error else None,
    }  # fmt: skip


def flat_line(line: Line) -> dict[str, Any]:
    """Return one line with its row's parameters: the row itself, or one of the runs that it made."""
    found = {name: value for name, value in flat(line.view).items() if not name.startswith("metric.")}
    return found | metric_columns(line.metrics) | {"meta.run_id": line.run["run_id"] if line.run else None}


def metric_columns(metrics: Mapping[str, Metric]) -> dict[str, Any]:
    """Return `metric.NAME` and, where there are, `.lo`, `.hi` and `.n`."""
    found: dict[str, Any] = {}
    for name, metric in metrics.items():
        found[f"metric.{name}"] = metric.value
        found |= {f"metric.{name}.{end}": value for end in ENDS if (value := getattr(metric, end)) is not None}
    return found


def columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of all columns: what was given first, then what was measured, then the circumstances."""
    names = dict.fromkeys(name for row in rows for name in row)
    order = ("meta.row_id", "meta.status", "param.", "metric.", "meta.")
    return sorted(names, key=lambda name: next(place for place, start in enumerate(order) if name.startswith(start)))


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV; lists and mappings are written as JSON."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = columns(rows)
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return text.getvalue()


def to_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as a data frame that keeps their types: whole numbers and truth values beside missing ones."""
    import pandas as pd

    frame = pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in columns(rows)})
    for name in frame.columns:
        kinds = frozenset(type(value) for value in frame[name] if value is not None)
        if kinds in DTYPES:
            frame[name] = frame[name].astype(DTYPES[kinds])
    return frame


def write_table(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write rows as .csv or .parquet, whole or not at all; raises MissingExtra for parquet without pyarrow."""
    draft = path.with_name(f".draft-{os.getpid()}-{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        if importlib.util.find_spec("pyarrow") is None:
            raise MissingExtra("parquet files need pyarrow", next_move="pip install pyarrow, or write .csv")
        to_frame(rows).to_parquet(draft, index=False)
    else:
        draft.write_text(to_csv(rows), encoding="utf-8")
    os.replace(draft, path)


def table(batches: Iterable[tuple[str, Batch]]) -> list[dict[str, Any]]:
    """Return the rows of several batches together, with a `meta.batch` column."""
    return [{**flat(view), "meta.batch": name} for name, batch in batches for view in batch.rows]


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return orjson.dumps(value).decode() if isinstance(value, list | dict | tuple) else value
