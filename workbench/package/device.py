"""Takes in what measure.py has found on another machine: a run of its own, with that machine's name in its id.

The run has the job, the artifact, the predictions and the sizes of the run that was packaged, and the times of that machine. Answers are
not measured anew there: measure.py refuses to time a file that doesn't give its recorded output.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from workbench import artifact, marks
from workbench.errors import ArtifactError, InvalidInput
from workbench.job import slug
from workbench.nouns import SCHEMA, Measurement, Run
from workbench.store import Store

KIND = "workbench-device-result"  # as measure.py says
MAX_BYTES = 64 * 2**20
PERCENTILES = (50, 95, 99)
KEPT_SAMPLES = ("predictions.npz", "controls.npz")


def is_result(path: Path) -> bool:
    """Say whether a file is meant to be a result of measure.py: it begins like JSON, a zip doesn't."""
    with path.open("rb") as file:
        return file.read(64).lstrip().startswith(b"{")


def take_in(store: Store, source: Path) -> Run:
    """Add a device's run and return it, or the one that is there already.

    Raises ArtifactError for a damaged or foreign file, InvalidInput when the store doesn't have the run it was measured of.
    """
    result = _read(source)
    packaged = _packaged(store, result, source)
    job_id = f"{packaged.job_id}.{slug(result['device'])}"
    for run in store.runs():
        if run.job_id == job_id and run.started == result["started"]:
            return run
    draft = store.begin(job_id, packaged.job, parent=packaged.parent, reference=packaged.reference)
    shutil.copytree(Path(packaged.folder) / packaged.artifact, draft / "artifact")
    (draft / "samples").mkdir()
    for name in KEPT_SAMPLES:
        if (kept := Path(packaged.folder) / "samples" / name).is_file():
            shutil.copyfile(kept, draft / "samples" / name)
    same = [each for each in packaged.measurements if "threads" not in each.conditions]
    run = replace(
        packaged, run_id=draft.name.removeprefix(".draft-"), job_id=job_id, machine=result["machine"], versions=result["versions"],
        started=result["started"], ended=result["ended"], cpu_seconds={}, cached=(), log="",
        measurements=(*same, *_timed(result, draft)),
    )  # fmt: skip
    made = store.publish(draft, run)
    marks.write(store, made.run_id, replace(marks.NONE, imported_from=source.name))
    return made


def _read(source: Path) -> dict[str, Any]:
    """Return the record, after checking that every field is what the rest relies on."""
    if source.stat().st_size > MAX_BYTES:
        raise ArtifactError(f"{source} is larger than any result of measure.py")
    try:
        record: Any = orjson.loads(source.read_bytes())
        if (record["schema"], record["kind"]) != (SCHEMA, KIND):
            raise ValueError("another kind or schema")
        texts = [record[name] for name in ("run_id", "device", "started", "ended")]
        tables = [record[name] for name in ("files", "machine", "versions", "conditions")]
        if not all(isinstance(each, str) for each in texts) or not all(isinstance(each, dict) for each in tables):
            raise TypeError("a field is of another type")
        if not slug(record["device"]):
            raise ValueError("the device has no name")
        for name in ("samples_ms", "single_ms"):
            times = [float(value) for each in record[name] for value in each]
            if not times or not all(math.isfinite(value) and value > 0 for value in times):
                raise ValueError(f"{name} are no times")
            if len({len(each) for each in record[name]}) != 1:
                raise ValueError(f"{name} differ in number between processes")
        if not all(isinstance(value, int) and value > 0 for value in record["peak_bytes"]) or not record["peak_bytes"]:
            raise ValueError("peak_bytes are no sizes")
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{source} is no result of a package's measure.py ({type(error).__name__}: {error})",
            next_move="run measure.py again, and copy its RESULT.json",
        ) from None
    return record


def _packaged(store: Store, result: Mapping[str, Any], source: Path) -> Run:
    """Return the run whose files were measured: by its id where it is here, and the hashes of all files in any case."""
    run = store.get(result["run_id"])
    here = {name: facts["sha256"] for name, facts in artifact.read(Path(run.folder) / "artifact").card["files"].items()}
    if here != result["files"]:
        raise InvalidInput(
            [f"{source} was measured of other files than those of {run.run_id} here"],
            next_move="package that run again",
        )
    return run


def _timed(result: Mapping[str, Any], draft: Path) -> list[Measurement]:
    import numpy as np

    singles, samples = np.array(result["single_ms"]), np.array(result["samples_ms"])
    np.savez(draft / "samples" / "latency.npz", this_ms=samples, single_ms=singles)
    how = {**result["conditions"], "calls_per_sample": result.get("calls_per_sample"), "device": result["device"]}
    found = [
        Measurement(f"latency_ms_p{share}", "ms", "lower", float(np.percentile(singles, share)), n=singles.size,
                    samples_in="samples/latency.npz", conditions=how)
        for share in PERCENTILES
    ]  # fmt: skip
    peak = {key: how[key] for key in ("threads", "batch") if key in how} | {
        "process": "fresh",
        "device": result["device"],
    }
    return [*found, Measurement("peak_memory_bytes", "bytes", "lower", max(result["peak_bytes"]), conditions=peak)]
