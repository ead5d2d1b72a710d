"""Decides, before an artifact is opened, whether opening it can do more than compute: pickles never, programs only when signed.

ONNX Runtime itself refuses weights outside the artifact's folder, and safetensors a header that lies; those need no second look.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path, PurePosixPath
from typing import IO

from workbench import catalog
from workbench.errors import ArtifactError
from workbench.nouns import Artifact
from workbench.part import Format

PICKLED = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib")
PICKLE_BEGINS = tuple(bytes([0x80, version]) for version in range(2, 6))


def check(found: Artifact, *, is_signed: bool) -> None:
    """Raise ArtifactError with everything that speaks against opening an artifact."""
    made = catalog.make("formats", found.card["format_record"])
    assert isinstance(made, Format)
    problems = []
    if made.is_program and not is_signed:
        problems.append(f"{made.name()} files are programs, and nobody trusted has signed it")
    with contextlib.ExitStack() as stack:
        files = {
            name: stack.enter_context(_opened(found, name)) for name in found.card["files"] if _is_there(found, name)
        }
        problems += [f"{name} is a pickle" for name, file in files.items() if _is_pickle(name, file)]
        problems += made.unsafe(files)
    if problems:
        raise ArtifactError(
            f"{found.folder} is not opened: {'; '.join(problems)}",
            next_move="take the model as ONNX or safetensors, or one that is signed by somebody you trust",
        )


def _is_there(found: Artifact, name: str) -> bool:
    """Missing files are told of by `artifact.verify`, with the rest of what differs from the card."""
    return name in found.files if found.files is not None else (Path(found.folder) / name).is_file()


def _opened(found: Artifact, name: str) -> IO[bytes]:
    return io.BytesIO(found.files[name]) if found.files is not None else (Path(found.folder) / name).open("rb")


def _is_pickle(name: str, file: IO[bytes]) -> bool:
    begins = file.read(2)
    file.seek(0)
    return begins in PICKLE_BEGINS or PurePosixPath(name).suffix in PICKLED
