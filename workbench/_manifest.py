"""What a zip of runs says of itself, checked against what is in it, before any of it is unpacked."""

from __future__ import annotations

import re
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from workbench.errors import ArtifactError
from workbench.marks import Marks
from workbench.nouns import SCHEMA, Run
from workbench.wording import bytes_text

MANIFEST, RUNS, KIND = "manifest.json", "runs", "workbench-runs"
MAX_MANIFEST = 256 * 2**20  # bytes
MAX_RATIO, HARMLESS = (
    200,
    100 * 2**20,
)  # unpacked / packed bytes that real runs stay below; less than this much harms nobody
TOLD_PROBLEMS = 10
RUN_ID = re.compile(r"\w[\w.-]{0,150}")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class File:
    sha256: str
    num_bytes: int


@dataclass(frozen=True)
class Manifest:
    """The files of each run by their path in its folder, and the marks of those that have some."""

    source: str
    files: Mapping[str, Mapping[str, File]]
    marks: Mapping[str, Marks]


def checked_manifest(archive: zipfile.ZipFile, source: str) -> Manifest:
    """Return the manifest of a zip whose every entry is named in it; raises ArtifactError with what is wrong."""
    if problems := [problem for info in archive.infolist() for problem in _unsafe(info)] + _twice(archive):
        raise _refused(source, problems)
    record = _read(archive, source)
    try:
        files = {
            run_id: {name: File(str(facts["sha256"]), int(facts["bytes"])) for name, facts in named.items()}
            for run_id, named in record["runs"].items()
        }
        found = {run_id: Marks.from_json(each) for run_id, each in record["marks"].items()}
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise _refused(source, [f"its manifest can't be read ({type(error).__name__}: {error})"]) from None
    manifest = Manifest(source, files, found)
    if problems := [*_problems(manifest), *_mismatches(archive, manifest)]:
        raise _refused(source, problems)
    return manifest


def foreign(run: Run) -> list[str]:
    """Return why a record from elsewhere would break tables and pages that trust what this version writes."""
    wrong = [
        name
        for name in ("job", "versions", "machine", "cpu_seconds", "controls")
        if not isinstance(getattr(run, name), dict)
    ]
    wrong += [name for name in ("parent", "reference") if not isinstance(getattr(run, name), str | None)]
    wrong += [] if isinstance(run.error, dict | None) else ["error"]
    wrong += [] if run.status in ("done", "failed", "cancelled") else ["status"]
    wrong += [name for name in ("started", "ended") if not _is_time(getattr(run, name))]
    wrong += [
        f"measurements[{index}]"
        for index, each in enumerate(run.measurements)
        if not (
            isinstance(each.conditions, dict) and isinstance(each.value, int | float) and isinstance(each.name, str)
        )
    ]
    return [f"{run.run_id}: {name} is not what a record holds" for name in wrong]


def _unsafe(info: zipfile.ZipInfo) -> Iterator[str]:
    """Yield what is wrong with one entry, whatever the manifest says."""
    name, kind = info.filename, stat.S_IFMT(info.external_attr >> 16)
    parts = name.removesuffix("/").split("/")
    if {"", ".", ".."} & set(parts) or "\\" in name or ":" in name or not name.isprintable():
        yield f"{name!r} leaves its folder"
    if any(len(part.encode()) > 255 for part in parts):
        yield f"{name[:40]!r}… is too long a name"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        yield f"{name!r} is a link or a device"
    if info.flag_bits & 1:
        yield f"{name!r} is encrypted"


def _twice(archive: zipfile.ZipFile) -> list[str]:
    """Return names that some file system would take for one, and files that are also folders."""
    names = [name.casefold() for name in archive.namelist()]
    problems = [f"{name!r} is in it {count} times" for name, count in Counter(names).items() if count > 1]
    files = {name for name in names if not name.endswith("/")}
    above = {"/".join(parts[:depth]) for name in files for parts in [name.split("/")] for depth in range(1, len(parts))}
    return problems + [f"{name!r} is a file and a folder" for name in sorted(files & above)]


def _read(archive: zipfile.ZipFile, source: str) -> Mapping[str, Any]:
    if MANIFEST not in archive.namelist():
        raise _refused(source, [f"it holds no {MANIFEST}: not a file that workbench export wrote"])
    if archive.getinfo(MANIFEST).file_size > MAX_MANIFEST:
        raise _refused(source, [f"its manifest is larger than {bytes_text(MAX_MANIFEST)}"])
    try:
        record = orjson.loads(archive.read(MANIFEST))
    except orjson.JSONDecodeError as error:
        raise _refused(source, [f"its manifest is not JSON ({error})"]) from None
    if not isinstance(record, dict) or record.get("kind") != KIND:
        raise _refused(source, ["it is not a file that workbench export wrote"])
    if record.get("schema") != SCHEMA:
        told = f"schema {record.get('schema')!r}, written by workbench {record.get('workbench')}"
        raise _refused(source, [f"{told}; this version reads schema {SCHEMA}"])
    return record


def _problems(manifest: Manifest) -> Iterator[str]:
    if not manifest.files:
        yield "it holds no runs"
    for run_id, files in manifest.files.items():
        if not RUN_ID.fullmatch(run_id):
            yield f"{run_id!r} can't be a run id"
        if "run.json" not in files:
            yield f"{run_id} has no run.json"
        if any(not SHA256.fullmatch(file.sha256) or file.num_bytes < 0 for file in files.values()):
            yield f"{run_id} has files without sha256 and bytes"
    yield from (
        f"there are marks of {run_id}, which it does not hold" for run_id in manifest.marks.keys() - manifest.files
    )


def _mismatches(archive: zipfile.ZipFile, manifest: Manifest) -> Iterator[str]:
    """Yield what the zip holds and the manifest doesn't, the reverse, and sizes that can't be right."""
    told = {f"{RUNS}/{run_id}/{name}": file for run_id, files in manifest.files.items() for name, file in files.items()}
    held = {info.filename: info for info in archive.infolist() if not info.is_dir() and info.filename != MANIFEST}
    yield from (f"{name} is missing" for name in sorted(told.keys() - held.keys()))
    yield from (f"{name} is not in the manifest" for name in sorted(held.keys() - told.keys()))
    for name in sorted(told.keys() & held.keys()):
        if held[name].file_size != told[name].num_bytes:
            yield f"{name} unpacks to {held[name].file_size:,} bytes, the manifest says {told[name].num_bytes:,}"
    unpacked, packed = (sum(getattr(info, size) for info in held.values()) for size in ("file_size", "compress_size"))
    if unpacked > HARMLESS and unpacked > MAX_RATIO * packed:
        yield f"it would unpack {bytes_text(packed)} to {bytes_text(unpacked)}: no run is like that"


def _refused(source: str, problems: list[str]) -> ArtifactError:
    more = f"; and {len(problems) - TOLD_PROBLEMS} more" if len(problems) > TOLD_PROBLEMS else ""
    told = "; ".join(problems[:TOLD_PROBLEMS])
    return ArtifactError(f"{source}: {told}{more}; nothing was imported", next_move="export the runs again")


def _is_time(text: Any) -> bool:
    if not isinstance(text, str):
        return False
    try:
        return not text or bool(datetime.fromisoformat(text))
    except ValueError:
        return False
