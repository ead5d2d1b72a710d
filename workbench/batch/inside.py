"""What a notebook may say to the batch that executes it; outside of one, everything works and only the notebook sees it.

from workbench.batch import artifacts, cached, exclusive, record, table

record("accuracy", 0.953, unit="share", n=1500, better="higher")   # a metric of this row, kept even when a later cell fails
table("per_class", frame)                                          # a data frame, kept as a file of this row
model = cached("trained", train)                                   # made once, also over attempts and resumed batches
plot.savefig(artifacts() / "loss.png")                             # kept in the row's folder
with exclusive() as conditions: ...                                # alone on this machine, as far as that can be had
"""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import html
import importlib.util
import os
import pickle
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import orjson

from workbench import machine
from workbench.errors import InvalidInput
from workbench.launch._order import BATCH_MARK

if TYPE_CHECKING:
    import pandas as pd

RECORDED, ARTIFACTS = "recorded.jsonl", "artifacts"
QUIET_ASKED, QUIET_GRANTED = "quiet.asked", "quiet.granted"  # files in the draft of a row that measures
SECONDS_BETWEEN_LOOKS = 0.01
CACHE = "WORKBENCH_BATCH_CACHE"  # folder of what `cached` keeps for the fingerprint of this row
MIME = "application/vnd.workbench.recorded+json"
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
CORES_OF_OTHERS = 0.2  # more than this, used by other processes meanwhile, is not alone
Result = TypeVar("Result")


def record(
    name: str,
    value: float,
    *,
    unit: str = "",
    n: int | None = None,  # examples behind it; None = not a count of any
    lo: float | None = None,  # ends of its interval; None = it has none
    hi: float | None = None,
    better: Literal["lower", "higher", "neither"] = "neither",
    measured_alone: bool | None = None,  # of a timing; None = not one
) -> None:
    """Record one number as a metric of this row, and show it under the cell; the last of a name counts."""
    if not name.isidentifier():
        raise InvalidInput([f"metric {name!r}: a name is letters, digits and _"])
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise InvalidInput([f"metric {name}: {value!r} is not a number"])
    told = {
        "name": name, "value": float(value), "unit": unit, "n": n, "lo": lo, "hi": hi, "better": better,
        "measured_alone": measured_alone,
    }  # fmt: skip
    if row := _row():
        _tell(row, told)
    show = getattr(builtins, "display", None)  # IPython puts it there
    if show:
        show({MIME: told, "text/html": _table(told), "text/plain": _words(told)}, raw=True)


def table(name: str, frame: pd.DataFrame) -> None:
    """Keep a data frame as a file of this row (.parquet where pyarrow is installed, else .csv), and show it under the cell."""
    if not name.isidentifier():
        raise InvalidInput([f"table {name!r}: a name is letters, digits and _"])
    if row := _row():
        kept = artifacts() / name
        if importlib.util.find_spec("pyarrow"):
            frame.to_parquet(path := kept.with_suffix(".parquet"), index=False)
        else:
            frame.to_csv(path := kept.with_suffix(".csv"), index=False)
        told = {
            "name": name,
            "path": str(path.relative_to(row)),
            "rows": len(frame),
            "columns": list(map(str, frame.columns)),
        }
        _tell(row, {"table": told})
    show = getattr(builtins, "display", None)
    if show:
        show(frame)


def cached(key: str, make: Callable[[], Result]) -> Result:
    """Return what `make` returned when it was called for this key, this source and these values; else call it.

    What is kept is pickled, for this user only. Outside of a batch it is simply called.
    """
    kept = os.environ.get(CACHE)
    if not kept:
        return make()
    path = Path(kept, f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.pickle")
    if path.is_file():
        return pickle.loads(path.read_bytes())
    made = make()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        pickle.dump(made, file)
    os.replace(draft, path)
    return made


def artifacts() -> Path:
    """Return the folder whose files are kept with this row; outside of a batch it is `artifacts`, here."""
    folder = (_row() or Path.cwd()) / ARTIFACTS
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def exclusive() -> Iterator[dict[str, Any]]:
    """Wait until nobody else of ours measures, keep all of ours quiet, and yield what is known of it at the end.

    Other rows of the batch are paused, workers of the workbench stand aside. `measured_alone` is true when that was so and
    other processes used less than a fifth of a core meanwhile.
    """
    with _others_paused(), machine.Quiet() as quiet, quiet.exclusive() as told:
        yield told
    told["measured_alone"] = bool(told["measured_alone"]) and told.get("other_cpu", 0.0) < CORES_OF_OTHERS
    if row := _row():
        _tell(row, {"exclusive": {**told, "governor": _governor()}})


@contextlib.contextmanager
def _others_paused() -> Iterator[None]:
    """Ask the runner to pause the other rows, and wait for its word; outside of a batch there is nobody to ask."""
    row = _row()
    if row is None:
        yield
        return
    asked, granted = row / QUIET_ASKED, row / QUIET_GRANTED
    asked.touch()
    try:
        while not granted.exists():
            time.sleep(SECONDS_BETWEEN_LOOKS)
        yield
    finally:
        asked.unlink(missing_ok=True)


def _tell(row: Path, told: dict[str, Any]) -> None:
    with (row / RECORDED).open("ab") as file:
        file.write(orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")


def _governor() -> str | None:
    """Return how the processor chooses its frequency; None where the system doesn't say."""
    try:
        return GOVERNOR.read_text().strip()
    except OSError:
        return None


def _row() -> Path | None:
    """Return the folder of the row that is executed; None outside of a batch."""
    path = os.environ.get(BATCH_MARK)
    return Path(path) if path else None


def _words(told: dict[str, Any]) -> str:
    interval = f" [{told['lo']:g}, {told['hi']:g}]" if told["lo"] is not None and told["hi"] is not None else ""
    counted = f", n = {told['n']:,}" if told["n"] else ""
    return f"{told['name']} = {told['value']:g}{interval} {told['unit']}".rstrip() + counted


def _table(told: dict[str, Any]) -> str:
    shown = {name: value for name, value in told.items() if value not in (None, "", "neither")}
    heads = "".join(f"<th>{html.escape(name)}</th>" for name in shown)
    cells = "".join(f"<td>{html.escape(str(value))}</td>" for value in shown.values())
    return f"<table><tr>{heads}</tr><tr>{cells}</tr></table>"
