"""Decides, before an artifact is opened, whether opening it can do more than compute: pickles never, programs only when signed.

ONNX Runtime itself refuses weights outside the artifact's folder, and safetensors a header that lies; those need no second look.
"""

from __future__ import annotations

import contextlib
import io
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO

from workbench import catalog
from workbench.errors import ArtifactError
from workbench.nouns import Artifact
from workbench.part import Format

PICKLES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".dill")
TORCH_WEIGHTS = "pytorch_model"  # a pickle that ends in .bin
PICKLE_BEGINS = tuple(bytes([0x80, version]) for version in range(2, 6))


def check(found: Artifact, *, is_signed: bool) -> None:
    """Raise ArtifactError with everything that speaks against opening an artifact."""
    made = catalog.make("formats", found.card["format_record"])
    assert isinstance(made, Format)
    problems = []
    if made.is_program and not is_signed:
        problems.append(f"{made.name()} files are programs, and nobody trusted has signed it")
    with contextlib.ExitStack() as stack:
        files = {name: stack.enter_context(_opened(found, name)) for name in _names(found)}
        problems += [f"{name} is a pickle, or holds one" for name, file in files.items() if _is_pickle(name, file)]
        problems += made.unsafe(files)
    if problems:
        raise ArtifactError(
            f"{found.folder} is not opened: {'; '.join(problems)}",
            next_move="take the model as ONNX or safetensors, or one that is signed by somebody you trust",
        )


def _names(found: Artifact) -> list[str]:
    """Return every file, whether its card names it or not."""
    if found.files is not None:
        return sorted(found.files)
    folder = Path(found.folder)
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _opened(found: Artifact, name: str) -> IO[bytes]:
    return io.BytesIO(found.files[name]) if found.files is not None else (Path(found.folder) / name).open("rb")


def _is_pickle(name: str, file: IO[bytes]) -> bool:
    """Say whether a file is a pickle by name or content, or a zip that holds one where torch.export and NumPy put none."""
    path = PurePosixPath(name)
    begins = file.read(2)
    file.seek(0)
    if (
        path.suffix in PICKLES
        or (path.suffix == ".bin" and path.name.startswith(TORCH_WEIGHTS))
        or begins in PICKLE_BEGINS
    ):
        return True
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        found = any(_is_pickled_member(archive, member) for member in archive.namelist())
    file.seek(0)
    return found


def _is_pickled_member(archive: zipfile.ZipFile, member: str) -> bool:
    with archive.open(member) as file:
        begins = file.read(256)
    is_of_objects = member.endswith(".npy") and b"'descr': '|O'" in begins
    return member.endswith((".pkl", ".pickle")) or begins.startswith(PICKLE_BEGINS) or is_of_objects
