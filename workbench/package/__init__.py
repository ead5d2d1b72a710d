"""One file with everything that a model needs elsewhere: the artifact, how to open, serve, ask and measure it there.

    NAME/artifact/          the run's artifact, byte for byte; artifact.sig beside it when it is signed
    NAME/README.md          model card, with what was measured where, and the commands for this folder
    NAME/requirements.txt   what opening and measuring takes, with the versions that were tested
    NAME/measure.py         measures on the machine it lies on; timing.py is its protocol
    NAME/Containerfile      an image that serves it; kserve.yaml runs that image in a cluster
    NAME/client.py          asks a running server, with nothing but Python; example.json is a request for curl

`plan` says every file and its size before anything is written; the same run gives the same bytes, but for the signature.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench import artifact
from workbench.errors import ArtifactError, InvalidInput
from workbench.job import slug
from workbench.nouns import Artifact, Run
from workbench.package import _cloud, _model_card, _texts
from workbench.protect import encrypt, sign
from workbench.store import disk_errors

ARTIFACT, SIGNATURE = "artifact", "artifact.sig"
OPENS = "def open_model("  # what measure.py calls in load.py


@dataclass(frozen=True)
class File:
    """One file of a package: its content, or where that lies."""

    name: str
    what: str  # it is for, in a few words
    num_bytes: int
    source: Path | bytes


@dataclass(frozen=True)
class Plan:
    """A package that is about to be written."""

    name: str
    files: tuple[File, ...]
    signer: str  # id of the key that signed the artifact; empty: nobody has

    @property
    def num_bytes(self) -> int:
        return sum(file.num_bytes for file in self.files)


def plan(run: Run, *, keys: Path | None = None, name: str = "", image: str = "") -> Plan:
    """Return what a run's package will hold; `keys` signs the artifact with the newest of them.

    Raises InvalidInput for a run that has no artifact, ArtifactError for one that was changed.
    """
    folder, saved = _artifact_of(run)
    name = name or _texts.model_name(run)
    if slug(name) != name:
        raise InvalidInput(
            [f"name {name!r}: a model's name on a server is of a–z, 0–9 and _"], next_move=f"--name {slug(name)}"
        )
    signature, signer = _signed(folder, keys)
    texts: Mapping[str, tuple[str, str]] = {
        "README.md": ("model card and commands", _model_card.text(run, saved, name=name, is_signed=bool(signer))),
        "requirements.txt": ("to open and measure it", _texts.requirements(saved)),
        "measure.py": ("measures on the machine it lies on", _texts.measure_script()),
        "timing.py": ("the protocol of measure.py", _texts.timing_script()),
        "client.py": ("asks a server", _texts.client_script(name)),
        "Containerfile": ("an image that serves it", _cloud.containerfile(name)),
        "kserve.yaml": ("a KServe InferenceService of that image", _cloud.inference_service(name, image or name)),
        "example.json": ("a request for client.py and curl", _texts.example(saved)),
    }
    files = [_in_artifact(folder, each) for each in ("card.json", *saved.card["files"])]
    files += [File(SIGNATURE, f"signed with key {signer}", len(signature), signature)] if signature else []
    files += [File(each, what, len(text.encode()), text.encode()) for each, (what, text) in texts.items()]
    return Plan(name, tuple(files), signer)


def write(planned: Plan, target: Path) -> Path:
    """Write a planned package into a new tar, which appears whole."""
    if target.exists():
        raise InvalidInput([f"{target} exists already"], next_move="name a new file")
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")
    with disk_errors(target):
        try:
            with tarfile.open(partial, "x", format=tarfile.PAX_FORMAT) as archive:
                for file in planned.files:
                    _add(archive, file, under=planned.name)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    return target


def _artifact_of(run: Run) -> tuple[Path, Artifact]:
    if run.status != "done" or not run.artifact:
        raise InvalidInput([f"{run.run_id} is {run.status}: it has no artifact to hand over"])
    folder = Path(run.folder) / run.artifact
    if encrypt.is_encrypted(folder):
        raise InvalidInput(
            [f"{folder} is encrypted"], next_move="package the plain run, and encrypt what you hand over"
        )
    saved = artifact.read(folder)
    if problems := artifact.verify(saved):
        raise ArtifactError(f"{folder}: {'; '.join(problems)}", next_move="run the job again: --again")
    if OPENS not in (folder / "load.py").read_text():
        raise ArtifactError(
            f"{run.run_id} was saved by an older version, whose load.py opens nothing for others",
            next_move="run the job again: --again",
        )
    return folder, saved


def _signed(folder: Path, keys: Path | None) -> tuple[bytes, str]:
    """Return the signature's bytes and the signer's id."""
    if keys is None:
        return b"", ""
    with tempfile.TemporaryDirectory() as scratch:
        signer, path = sign.sign(folder, keys, signature=Path(scratch) / SIGNATURE)
        return path.read_bytes(), signer


def _in_artifact(folder: Path, name: str) -> File:
    what = {"card.json": "card, with hashes", "load.py": "opens it", "probe.npz": "inputs with recorded output"}
    path = folder / name
    return File(f"{ARTIFACT}/{name}", what.get(name, "the model"), path.stat().st_size, path)


def _add(archive: tarfile.TarFile, file: File, *, under: str) -> None:
    """Add one file without owner and time."""
    info = tarfile.TarInfo(f"{under}/{file.name}")
    info.size, info.mode = file.num_bytes, 0o644
    if isinstance(file.source, bytes):
        archive.addfile(info, io.BytesIO(file.source))
        return
    with file.source.open("rb") as opened:
        archive.addfile(info, opened)
