"""What a .pt2 file could do besides computing, found without opening it with torch.

torch.export.load unpickles whatever the file marks as pickled, evaluates its symbolic sizes as Python, calls any attribute of torch
that the graph names, and imports modules for its trees: a file from somebody else is a program. Exported models need none of it.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from typing import IO, Any

import orjson

ENTRY = re.compile(
    r"[^/]+/(archive_format|archive_version|byteorder|\.data/(version|serialization_id)|models/model\.json"
    r"|data/sample_inputs/model\.pt|data/(weights/model_weights|constants/model_constants)_config\.json"
    r"|data/(weights/weight|constants/tensor)_\d+)"
)
TARGET = re.compile(r"torch\.ops\.(aten|prims|xnor|higher_order)\.\w+(\.\w+)?|_operator\.\w+|math\.\w+|torch\.sym_\w+")
EXPRESSION = re.compile(  # as sympy.srepr writes sizes
    r"(Symbol\('[suz]\d+'|(positive|nonnegative|integer)=(True|False)|-?\d+|[\s,()]"
    r"|(Integer|Mul|Add|Pow|Rational|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilToInt|TruncToInt)\()*"
)
MAX_TABLE = 256 * 2**20  # bytes of a JSON entry


def problems(file: IO[bytes]) -> list[str]:
    """Return what torch would run of it, in words; empty when it only computes."""
    try:
        with zipfile.ZipFile(file) as archive:
            return list(dict.fromkeys(_of(archive)))
    except (zipfile.BadZipFile, orjson.JSONDecodeError, KeyError, TypeError, AttributeError, EOFError) as error:
        return [f"it is no .pt2 that this version knows ({type(error).__name__}: {error})"]


def _of(archive: zipfile.ZipFile) -> Iterator[str]:
    for info in archive.infolist():
        if not ENTRY.fullmatch(info.filename):
            yield f"it holds {info.filename}, which no exported model of ours has"
        elif info.filename.endswith("sample_inputs/model.pt") and info.file_size:
            yield "it holds pickled example inputs"
        elif info.filename.endswith(".json") and info.file_size > MAX_TABLE:
            yield f"{info.filename} is larger than any table"
        elif info.filename.endswith("_config.json"):
            tensors = orjson.loads(archive.read(info))["config"]
            yield from (f"{name} is pickled" for name, about in tensors.items() if about["use_pickle"] is not False)
        elif info.filename.endswith("models/model.json"):
            yield from _in_graph(orjson.loads(archive.read(info)))


def _in_graph(value: Any, under: str = "") -> Iterator[str]:
    """Walk the whole program: wherever they stand, targets are called and expressions are evaluated."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _in_graph(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _in_graph(inner, under)
    elif isinstance(value, str):
        if under in ("target", "as_operator") and not TARGET.fullmatch(value):
            yield f"it calls {value!r}"
        if under == "expr_str" and not EXPRESSION.fullmatch(value):
            yield f"it evaluates {value!r}"
        if "__enum__" in value:
            yield "its tree of inputs or outputs imports a module"
