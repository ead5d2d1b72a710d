"""Runs as flat rows: one per run, the same columns for every run, None where nothing was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from workbench import catalog
from workbench._where import parse
from workbench.errors import InvalidInput
from workbench.marks import Marks
from workbench.nouns import Measurement, Run
from workbench.part import Launcher, Part

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
BYTES_PER_MB = 1_000_000
AS_TRAINED = "as trained"
UNMARKED = Marks()


class Column(NamedTuple):
    """One column: the type of its values (None is always possible) and what it says, with its unit."""

    kind: type
    help: str


COLUMNS: dict[str, Column] = {
    "run_id": Column(str, "name of the run"),
    "model": Column(str, "model and its parameters that are not the default"),
    "recipe": Column(str, "steps in order"),
    "method": Column(str, "names of the steps that are more than training"),
    "format": Column(str, "format of the artifact"),
    "status": Column(str, "done, failed, cancelled or lost"),
    "artifact_bytes": Column(int, "bytes of the files needed to predict"),
    "folder_bytes": Column(int, "bytes of everything, with card, probe and loader"),
    "dense_bytes": Column(int, "bytes of all stored parameters, zeros included"),
    "nonzero_params": Column(int, "parameters that are not zero"),
    "num_params": Column(int, "parameters"),
    "zipped_bytes": Column(int, "bytes of the artifact after general-purpose compression"),
    "accuracy": Column(float, "share of test examples answered correctly"),
    "accuracy_validation": Column(float, "share of validation examples answered correctly"),
    "accuracy_lo": Column(float, "lower end of the 95 % interval of accuracy"),
    "accuracy_hi": Column(float, "upper end of the 95 % interval of accuracy"),
    "n": Column(int, "test examples behind accuracy or perplexity"),
    "f1_macro": Column(float, "F1 on test, mean over classes"),
    "perplexity": Column(float, "perplexity on test (language models)"),
    "bits_per_byte": Column(float, "bits per byte on test (language models)"),
    "latency_ms_p50": Column(float, "median latency of one call, ms"),
    "latency_ms_p95": Column(float, "95th percentile of latency, ms"),
    "latency_ratio_to_parent": Column(float, "latency / latency of the same model as trained, same format"),
    "ratio_lo": Column(float, "lower end of the 95 % interval of that ratio"),
    "ratio_hi": Column(float, "upper end of the 95 % interval of that ratio"),
    "latency_ratio_to_reference": Column(float, "latency / latency of that model's fp32 ONNX"),
    "first_token_ms": Column(float, "language models: wait for the first token of a text, ms"),
    "token_ms": Column(float, "language models: time of each further token, ms"),
    "kv_bytes": Column(int, "language models: keys and values kept at the context's end, bytes"),
    "threads": Column(int, "threads while latency was measured"),
    "batch": Column(int, "examples per call while latency was measured"),
    "measured_alone": Column(bool, "nothing else of ours ran while latency was measured"),
    "peak_memory_mb": Column(float, "peak memory of a fresh process, MB (10⁶ bytes)"),
    "seed": Column(int, "seed of the job"),
    "job_id": Column(str, "name and hash of the job"),
    "parent": Column(str, "run id of the same model as trained, same format"),
    "reference": Column(str, "run id of that model's fp32 ONNX"),
    "started": Column(str, "UTC, ISO 8601"),
    "seconds": Column(float, "wall time of the whole run, s"),
    "error": Column(str, "cause, unless done"),
    "tags": Column(str, "words that somebody gave the run, with commas between"),
    "note": Column(str, "what somebody wrote about the run"),
    "pinned": Column(bool, "never deleted or tidied away"),
    "machine": Column(str, "processor that the run was made on; `imported: …` when it came from another store"),
}

SIZES = ("artifact_bytes", "folder_bytes", "dense_bytes", "nonzero_params", "num_params", "zipped_bytes")


def rows(runs: Iterable[Run], marks: Mapping[str, Marks] | None = None) -> list[Row]:
    """Return one row per run, in the order given, with every name of COLUMNS; `marks` by run id, None = not looked at."""
    found = [_row(run) for run in runs]
    if marks is not None:
        for row in found:
            _put_marks(row, marks.get(row["run_id"], UNMARKED))
    return found


def to_frame(table: Sequence[Row]) -> pd.DataFrame:
    """Return rows as a data frame with nullable column types: counts stay whole numbers beside missing ones."""
    import pandas as pd

    dtypes = {str: "string", int: "Int64", float: "Float64", bool: "boolean"}
    columns = {
        name: pd.array([row[name] for row in table], dtype=dtypes[column.kind]) for name, column in COLUMNS.items()
    }
    return pd.DataFrame(columns)


def to_csv(table: Sequence[Row], path: str | Path | None = None) -> str:
    """Return rows as CSV with a header, missing values empty; also written to `path` when one is given."""
    text = to_frame(table).to_csv(index=False, lineterminator="\n")
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text


def where(text: str) -> Callable[[Row], bool]:
    """Return the predicate that `text` spells, as in `accuracy > 0.95 and model = lenet_5 or status != done`.

    Operators: = != < <= > >= and `contains`; `and` binds tighter than `or`. A missing value satisfies no comparison
    but `= none`. Raises InvalidInput with every problem found.
    """
    return parse(text, {name: column.kind for name, column in COLUMNS.items()})


def model_text(run: Run) -> str:
    """Return the model's name with its parameters that are not the default."""
    return _words("zoo", _key(run.job.get("model")))


def data_text(run: Run) -> str:
    """Return the data's name with its parameters that are not the default."""
    return _words("data", _key(run.job.get("data")))


def format_text(run: Run) -> str:
    """Return the name of the artifact's format; empty when the job names none."""
    record = run.job.get("format")
    return str(record.get("use", "")) if isinstance(record, dict) else str(record or "")


def layout_text(run: Run) -> str:
    """Return how the training was spread, and over how many processes; empty where one process trained."""
    if not run.job.get("layout"):
        return ""
    launcher = _part("launch", _key(run.job.get("launcher")))
    over = f" over {launcher.num_processes} processes" if isinstance(launcher, Launcher) else ""
    return _words("layout", _key(run.job["layout"])) + over


def recipe_text(run: Run) -> str:
    """Return the steps in a few words, as `Job.recipe` says them."""
    steps = run.job.get("steps") or ()
    return " → ".join(_words("compress", _key(step)) for step in steps) or "as it comes"


def change_text(run: Run) -> str:
    """Return the steps beyond plain training in a few words: the short form of a recipe, for labels."""
    keys = [_key(step) for step in run.job.get("steps") or ()]
    return " + ".join(_words("compress", key) for key in keys if _method(key)) or AS_TRAINED


def method_text(run: Run) -> str:
    """Return what was done beyond plain training: the same text, whatever the parameters, for one kind of recipe."""
    steps = run.job.get("steps") or ()
    return " + ".join(filter(None, (_method(_key(step)) for step in steps))) or AS_TRAINED


def error_text(run: Run) -> str | None:
    """Return what ended a run in one line; None when nothing did."""
    if not run.error:
        return None
    kind, message = (" ".join(str(run.error.get(name) or "").split()) for name in ("kind", "message"))
    return ": ".join(part for part in (kind, message) if part) or "cause not recorded"


def seconds_text(started: str, ended: str) -> float | None:
    """Return the wall seconds between two ISO times; None when one is missing."""
    if not started or not ended:
        return None
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()


def _row(run: Run) -> Row:
    found: Row = dict.fromkeys(COLUMNS)
    found.update(
        run_id=run.run_id, job_id=run.job_id, status=run.status, parent=run.parent, reference=run.reference,
        model=model_text(run), recipe=recipe_text(run), method=method_text(run), seed=run.job.get("seed"), error=error_text(run),
        format=format_text(run),
        started=run.started or None, seconds=seconds_text(run.started, run.ended), machine=run.machine.get("cpu"),
    )  # fmt: skip
    named = _index(run)
    for name in SIZES:
        found[name] = _whole(named.get((name, None)))
    _put_quality(found, named)
    _put_latency(found, named, run)
    found["kv_bytes"] = _whole(named.get(("kv_bytes", None)))
    for name in ("first_token_ms", "token_ms"):
        found[name] = named[name, None].value if (name, None) in named else None
    peak = named.get(("peak_memory_bytes", None))
    found["peak_memory_mb"] = peak.value / BYTES_PER_MB if peak else None
    return found


def _put_marks(found: Row, marks: Marks) -> None:
    found.update(tags=", ".join(marks.tags) or None, note=marks.note or None, pinned=marks.pinned)
    if marks.imported_from:
        found["machine"] = f"imported: {found['machine'] or 'unknown processor'}"


Index = dict[tuple[str, str | None], Measurement]


def _index(run: Run) -> Index:
    """Return the first measurement of each (name, split), per-class ones left out: ten times faster than searching."""
    named: Index = {}
    for each in run.measurements:
        if "label" not in each.conditions:
            named.setdefault((each.name, each.conditions.get("split")), each)
    return named


def _put_quality(found: Row, named: Index) -> None:
    for name in ("accuracy", "f1_macro", "perplexity", "bits_per_byte"):
        measured = named.get((name, "test"))
        found[name] = measured.value if measured else None
        if measured and found["n"] is None:
            found["n"] = measured.n
    accuracy, validation = named.get(("accuracy", "test")), named.get(("accuracy", "validation"))
    if accuracy:
        found.update(accuracy_lo=accuracy.lo, accuracy_hi=accuracy.hi)
    found["accuracy_validation"] = validation.value if validation else None


def _put_latency(found: Row, named: Index, run: Run) -> None:
    median = named.get(("latency_ms_p50", None))
    if not median:
        return
    found.update({name: median.conditions.get(name) for name in ("threads", "batch", "measured_alone")})
    same = {name: found[name] for name in ("threads", "batch")}  # a run may be timed at several batches: keep to one
    for name in ("latency_ms_p50", "latency_ms_p95", "latency_ratio_to_parent", "latency_ratio_to_reference"):
        measured = named.get((name, None))
        if measured and any(measured.conditions.get(key) != value for key, value in same.items()):
            measured = run.get(name, **same)
        found[name] = measured.value if measured else None
        if measured and name == "latency_ratio_to_parent":
            found.update(ratio_lo=measured.lo, ratio_hi=measured.hi)


def _whole(measured: Measurement | None) -> int | None:
    return int(measured.value) if measured else None


def _key(record: Any) -> str:
    return orjson.dumps(record, option=orjson.OPT_SORT_KEYS).decode()


@lru_cache(maxsize=20_000)
def _words(family: str, key: str) -> str:
    """Return a part record in a few words; a part this version can't read is named as it was recorded."""
    part = _part(family, key)
    if part is None:
        return _as_recorded(orjson.loads(key))
    if family == "compress":
        return part.describe()  # type: ignore[attr-defined]
    fresh = type(part).model_fields
    changed = [(name, value) for name, value in part.model_dump().items() if value != fresh[name].default]
    return " ".join([part.name(), *(f"{name}={value}" for name, value in changed)])


@lru_cache(maxsize=20_000)
def _method(key: str) -> str:
    """Return the name of a step, empty for plain training."""
    part = _part("compress", key)
    if part is None:
        return _as_recorded(orjson.loads(key)).split(" ")[0]
    return "" if part.trains else part.name()  # type: ignore[attr-defined]


def _part(family: str, key: str) -> Part | None:
    """Make a recorded part; None when this version has no such part or can't read its parameters."""
    try:
        return catalog.make(family, orjson.loads(key))
    except InvalidInput:
        return None


def _as_recorded(record: Any) -> str:
    if not isinstance(record, dict):
        return str(record)
    return " ".join([str(record.get("use")), *(f"{name}={value}" for name, value in record.items() if name != "use")])
