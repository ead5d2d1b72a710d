"""The file of arrays that were made in a notebook cell: one npz without pickles, named after its content.

about                  JSON: task, labels, number of classes, name, dtype and shape of each input, examples of each part
<part>/inputs/<name>   examples on axis 0
<part>/targets         int64
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from workbench.data import _own_arrays, _splits
from workbench.errors import ArtifactError, InvalidInput
from workbench.nouns import SCHEMA, Examples, Task

DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, IndexError, TypeError)


def checked(given: Mapping[str, Any], *, task: str, labels: Sequence[str]) -> tuple[dict[str, Examples], int]:
    """Return part → Examples and the number of classes; raises InvalidInput with everything that is wrong."""
    problems = [] if task in get_args(Task) else [f"task {task!r} is none of {', '.join(get_args(Task))}"]
    parts: dict[str, Examples] = {}
    for part, value in given.items():
        before = len(problems)
        try:
            found = _own_arrays.examples(value, f"{part} part", task, problems)
        except (ValueError, TypeError, RuntimeError) as error:  # no array: ragged lists, tensors that need gradients
            problems.append(f"{part} part: {error}")
            continue
        if found is not None and len(problems) == before:
            parts[part] = found
    shapes = {part: _shapes(examples) for part, examples in parts.items()}
    problems += [
        f"{part} part: inputs are {shape}, those of train are {shapes['train']}"
        for part, shape in shapes.items()
        if "train" in shapes and shape != shapes["train"]
    ]
    num_classes = 0
    if not problems:
        num_classes = _fits_together(parts, task, labels, problems)
    if problems:
        raise InvalidInput(problems, next_move="each part is (inputs, targets): arrays with the examples on axis 0")
    return parts, num_classes


def write(parts: Mapping[str, Examples], about: Mapping[str, Any], folder: Path, name: str) -> tuple[Path, str]:
    """Write one file into `folder`; returns its path, which holds ten digits of its hash, and the hash."""
    import numpy as np

    arrays: dict[str, Any] = {}
    for part, examples in parts.items():
        arrays |= {f"{part}/inputs/{key}": array for key, array in examples.inputs.items()}
        arrays[f"{part}/targets"] = examples.targets
    told = {"schema": SCHEMA, **about, **_described(parts)}
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{name}.{os.getpid()}.npz"
    try:
        np.savez(partial, about=np.array(json.dumps(told)), **arrays)
        sha256 = _sha256(partial)
        path = folder / f"{name}-{sha256[:10]}.npz"
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path, sha256


def about(path: Path, sha256: str) -> dict[str, Any]:
    """Return what a file says of itself, after checking its hash (once, as long as the file isn't touched)."""
    try:
        facts = path.stat()
    except OSError as error:
        raise InvalidInput(
            [f"no file {str(path)!r}: {error.strerror} (relative paths start at {str(Path.cwd())!r})"],
            next_move="adopt the data again: workbench.adopt.adopt_data",
        ) from None
    return _about(path, sha256, facts.st_mtime_ns, facts.st_size)


def read(path: Path, sha256: str) -> dict[str, Examples]:
    """Return part → Examples; raises InvalidInput for a missing, ArtifactError for a changed or truncated file."""
    import numpy as np

    told = about(path, sha256)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {
                part: Examples(
                    {each["name"]: arrays[f"{part}/inputs/{each['name']}"] for each in told["inputs"]},
                    arrays[f"{part}/targets"],
                )
                for part in told["num_examples"]
            }
    except DAMAGED as error:
        raise _unreadable(path, error) from error


@functools.lru_cache(maxsize=64)
def _about(path: Path, sha256: str, _changed_ns: int, _num_bytes: int) -> dict[str, Any]:
    import numpy as np

    if sha256 and _sha256(path) != sha256:
        raise ArtifactError(
            f"{path} is not the file that was adopted: changed or truncated", next_move="adopt the data again"
        )
    try:
        with np.load(path, allow_pickle=False) as arrays:
            told = json.loads(str(arrays["about"]))
        if told["schema"] != SCHEMA:
            raise ValueError(f"schema {told['schema']!r}, this version reads {SCHEMA}")
    except DAMAGED as error:
        raise _unreadable(path, error) from error
    return told


def _fits_together(parts: Mapping[str, Examples], task: str, labels: Sequence[str], problems: list[str]) -> int:
    """Return the number of classes; adds what speaks against the parts as a whole to `problems`."""
    num_classes = 0
    try:
        if task != "unlabelled":
            num_classes = _own_arrays.num_classes(parts, len(labels) or None, labels=labels)
    except InvalidInput as error:
        problems += error.problems
    if num_classes < 1 and task != "unlabelled" and not problems:
        problems.append(f"no target is a class: all are {_own_arrays.IGNORED} (ignore)")
    try:
        _splits.from_given(parts, seed=0)
    except InvalidInput as error:
        problems += error.problems
    return num_classes


def _described(parts: Mapping[str, Examples]) -> dict[str, Any]:
    first = parts["train"].inputs
    inputs = [
        {"name": name, "dtype": str(array.dtype), "shape": list(array.shape[1:])} for name, array in first.items()
    ]
    return {"inputs": inputs, "num_examples": {part: len(examples) for part, examples in parts.items()}}


def _shapes(examples: Examples) -> str:
    return ", ".join(f"{name} {array.dtype} {array.shape[1:]}" for name, array in sorted(examples.inputs.items()))


def _unreadable(path: Path, error: Exception) -> ArtifactError:
    return ArtifactError(
        f"{path} is not a whole file of adopted data ({type(error).__name__}: {error})",
        next_move="adopt the data again",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
