"""Carries runs from one machine to another: one zip with their folders as they are, a manifest of hashes, and marks.

    manifest.json       schema, version of the workbench, sha256 and bytes of each file, marks
    runs/<run_id>/…     what lies in the store

A zip from elsewhere is not trusted: everything is checked before anything is written, unpacked into a hidden folder, checked
again, and then each run appears by one rename. What a killed import leaves is hidden, and tidied away later.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import struct
import tempfile
import uuid
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import orjson

from workbench import __version__, marks
from workbench._deleting import needs
from workbench._manifest import KIND, MANIFEST, RUNS, Manifest, checked_manifest, foreign
from workbench.errors import ArtifactError, InvalidInput, WorkbenchError
from workbench.nouns import SCHEMA, Run
from workbench.store import DRAFT, STAGING, Store, disk_errors

CHUNK = 1 << 20
DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Imported:
    """Run ids: those that are new in the store, and those that it had already."""

    added: tuple[str, ...]
    already_there: tuple[str, ...]


def export(store: Store, run_ids: Iterable[str], target: str | Path, *, with_relatives: bool = True) -> Path:
    """Write runs into a new zip and return its path.

    `with_relatives` takes along the runs, at any depth, that these were measured against or made from, where they are there.
    """
    target = Path(target)
    runs = _chosen(store, list(run_ids), target, with_relatives)
    marked = marks.read_all(store)
    manifest: dict[str, Any] = {"schema": SCHEMA, "kind": KIND, "workbench": __version__, "runs": {}, "marks": {}}
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")
    with disk_errors(target):
        try:
            with zipfile.ZipFile(partial, "x", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                for run in runs:
                    manifest["runs"][run.run_id] = _packed(archive, run)
                    if run.run_id in marked:
                        manifest["marks"][run.run_id] = replace(marked[run.run_id], imported_from="").to_json()
                archive.writestr(MANIFEST, orjson.dumps(manifest))
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    return target


def import_runs(store: Store, source: str | Path) -> Imported:
    """Add the runs of a zip that the store doesn't have; returns which were added and which were there.

    Raises ArtifactError for a damaged, changed or foreign file, InvalidInput for a run id that is another run here; then
    nothing was added.
    """
    with _opened(Path(source)) as archive:
        manifest = checked_manifest(archive, str(source))
        added, there = _sorted_out(store, manifest)
        num_bytes = sum(file.num_bytes for run_id in added for file in manifest.files[run_id].values())
        if added:
            _take_in(store, archive, manifest, added, num_bytes)
    return Imported(tuple(added), tuple(there))


def _chosen(store: Store, run_ids: list[str], target: Path, with_relatives: bool) -> list[Run]:
    """Return the runs to write, or raise InvalidInput with everything that is wrong."""
    problems = [] if run_ids else ["no run is named"]
    problems += [f"{target} exists already"] if target.exists() else []
    problems += [] if target.absolute().parent.is_dir() else [f"no folder {target.absolute().parent}"]
    found: dict[str, Run] = {}
    waiting = list(run_ids)
    while waiting:
        run_id = waiting.pop()
        if run_id in found or (run_id not in run_ids and not (store.root / run_id).is_dir()):
            continue
        try:
            found[run_id] = store.get(run_id)
        except (InvalidInput, ArtifactError) as error:
            problems.append(error.message)
            continue
        waiting += sorted(needs(found[run_id])) if with_relatives else []
    if problems:
        raise InvalidInput(problems, next_move="name finished runs, and a new file")
    return [found[run_id] for run_id in sorted(found)]


def _packed(archive: zipfile.ZipFile, run: Run) -> dict[str, Any]:
    """Write the files of a run; returns path → sha256 and bytes."""
    told = {}
    folder = Path(run.folder)
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise ArtifactError(f"{path} is a link: a run that holds one can't be exported")
        if path.is_dir():
            continue
        name, size = path.relative_to(folder).as_posix(), path.stat().st_size
        with path.open("rb") as file, archive.open(f"{RUNS}/{run.run_id}/{name}", "w", force_zip64=size > 2**30) as out:
            sha256, num_bytes = _copied(file, out, size)
        told[name] = {"sha256": sha256, "bytes": num_bytes}
    return told


def _copied(source: IO[bytes], target: IO[bytes], limit: int) -> tuple[str, int]:
    """Copy at most `limit` bytes and one chunk; returns sha256 and bytes."""
    found, count = hashlib.sha256(), 0
    while count <= limit and (chunk := source.read(CHUNK)):
        found.update(chunk)
        target.write(chunk)
        count += len(chunk)
    return found.hexdigest(), count


@contextmanager
def _opened(source: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip; whatever shows it to be damaged, also later on, becomes an ArtifactError."""
    if not source.is_file():
        raise InvalidInput([f"no file {str(source)!r}"], next_move="name the file that workbench export wrote")
    try:
        with zipfile.ZipFile(source) as archive:
            yield archive
    except (*DAMAGED, OSError) as error:
        if (
            isinstance(error, OSError) and error.errno != errno.EINVAL
        ):  # that one: an offset before the file's beginning
            raise
        raise ArtifactError(
            f"{source} is damaged or no zip ({error}); nothing was imported",
            next_move="copy it once more, or export again",
        ) from error


def _sorted_out(store: Store, manifest: Manifest) -> tuple[list[str], list[str]]:
    """Return the new run ids and those that are here with the same record; refuses an id that is another run here."""
    added, there, problems = list[str](), list[str](), list[str]()
    for run_id, files in manifest.files.items():
        folder = store.root / run_id
        if (store.root / f"{DRAFT}{run_id}").exists():
            problems.append(f"{run_id} is being made here")
        elif not folder.exists():
            added.append(run_id)
        elif (folder / "run.json").is_file() and _sha256(folder / "run.json") == files["run.json"].sha256:
            there.append(run_id)
        else:
            problems.append(f"{run_id} is here with another record")
    if problems:
        raise InvalidInput(problems, next_move="import into another store: --store FOLDER; nothing was imported")
    return added, there


def _take_in(store: Store, archive: zipfile.ZipFile, manifest: Manifest, added: list[str], num_bytes: int) -> None:
    """Unpack, check and publish the new runs."""
    with disk_errors(store.root):
        store.root.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(store.root).free
        if num_bytes > free:
            raise WorkbenchError(
                f"{manifest.source} needs {num_bytes:,} bytes, {free:,} are free at {store.root}",
                next_move="free some space",
            )
        staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=store.root))
        try:
            for run_id in added:
                _unpack(archive, manifest, run_id, staging)
            if problems := [problem for run_id in added for problem in foreign(Store(staging).get(run_id))]:
                raise ArtifactError(f"{manifest.source}: {'; '.join(problems)}; nothing was imported")
            _publish(store, manifest, added, staging)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _unpack(archive: zipfile.ZipFile, manifest: Manifest, run_id: str, staging: Path) -> None:
    for name, expected in manifest.files[run_id].items():
        path = staging / run_id / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(f"{RUNS}/{run_id}/{name}") as source, path.open("xb") as file:
            sha256, count = _copied(source, file, expected.num_bytes)
        if count != expected.num_bytes or sha256 != expected.sha256:
            raise ArtifactError(
                f"{manifest.source}: {run_id}/{name} was changed after the export; nothing was imported",
                next_move="copy the file once more, or export again",
            )


def _publish(store: Store, manifest: Manifest, added: list[str], staging: Path) -> None:
    """Rename each run to its place; when one can't be, those before it are taken back."""
    done: list[str] = []
    for run_id in added:
        try:
            (staging / run_id).rename(store.root / run_id)
        except OSError:
            for each in done:
                (store.root / each).rename(staging / each)
                marks.write(store, each, marks.NONE)
            raise InvalidInput([f"{run_id} appeared here meanwhile; nothing was imported"]) from None
        done.append(run_id)
        marked = manifest.marks.get(run_id, marks.NONE)
        marks.write(store, run_id, replace(marked, imported_from=Path(manifest.source).name))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
