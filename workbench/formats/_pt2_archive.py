"""Reads the weights of a .pt2 file: a zip of raw tensors beside a JSON table of names, dtypes, sizes and strides.

PyTorch's reader needs torch.export, which takes seconds to import, and builds the whole program to get at them.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from workbench import _float8
from workbench.errors import ArtifactError
from workbench.formats import _packed
from workbench.nouns import StoredWeight

TABLE = "data/weights/model_weights_config.json"
DTYPES = {
    1: "uint8",
    6: "float16",
    7: "float32",
    8: "float64",
    13: "bfloat16",
    29: "float8_e4m3fn",
}  # torch._export.serde.schema.ScalarType


INTEGERS = re.compile(
    r"(.+)\.int(\d)_of_([\dx]+)"
)  # of a layer: bits and the shape of an output, as `_packed_layers` marks them


FLOAT8 = ".float8"  # of a layer whose weight lies in 8-bit floats


def stored(path: Path) -> dict[str, StoredWeight]:
    """Return the weight of every layer in the program's state."""
    tensors = _tensors(path)
    plain = {
        _layer(name): StoredWeight(_as_float32(array, dtype), dtype, array.nbytes)
        for name, (array, dtype) in tensors.items()
        if name.endswith(".weight")
    }
    return plain | _packed_of(tensors)


def packed(path: Path) -> dict[str, StoredWeight]:
    """Return the same of the layers whose integers, or 8-bit floats, are packed."""
    return _packed_of(_tensors(path))


def _packed_of(tensors: Mapping[str, tuple[np.ndarray, str]]) -> dict[str, StoredWeight]:
    found = {}
    for name, (integers, _) in tensors.items():
        if match := INTEGERS.fullmatch(name):
            layer, bits, shape = match[1], int(match[2]), [int(each) for each in match[3].split("x")]
            scales, zeros = (tensors.get(f"{layer}.{each}", (None, ""))[0] for each in ("scales", "zeros"))
            assert scales is not None, "every packed layer has scales"
            weight = _packed.stored(_packed.Packed(bits, math.prod(shape), integers, scales, zeros))
            found[layer] = replace(weight, values=weight.values.reshape(-1, *shape))
        elif name.endswith(FLOAT8):
            layer = name.removesuffix(FLOAT8)
            scales = tensors[f"{layer}.scales"][0]
            wide = _float8.widened(np.ascontiguousarray(integers)) * scales
            found[layer] = StoredWeight(wide, "float8_e4m3fn", integers.nbytes + scales.nbytes)
    return found


def _tensors(path: Path) -> dict[str, tuple[np.ndarray, str]]:
    """Return weights, and what packed layers hold, by name: arrays and their dtypes (bfloat16 as uint16, 8-bit floats as uint8)."""
    with zipfile.ZipFile(path) as archive:
        table = next((name for name in archive.namelist() if name.endswith(TABLE)), None)
        if table is None:
            raise ArtifactError(f"{path} holds no table of weights", next_move="run its job again")
        folder = table.rpartition("/")[0]
        tensors = {
            name: about for name, about in orjson.loads(archive.read(table))["config"].items() if _is_weight(name)
        }
        return {
            name: _array(archive.read(f"{folder}/{about['path_name']}"), name, about) for name, about in tensors.items()
        }


def _is_weight(name: str) -> bool:
    return name.endswith((".weight", ".scales", ".zeros", FLOAT8)) or INTEGERS.fullmatch(name) is not None


def _layer(name: str) -> str:
    """Return a weight's layer as the model names it that was exported, or cast (`_casting`) and then exported."""
    return name.removesuffix(".weight").removeprefix("in_bfloat16.").removesuffix(".in_float32")


def _array(raw: bytes, name: str, about: dict[str, Any]) -> tuple[np.ndarray, str]:
    meta = about["tensor_meta"]
    dtype = DTYPES.get(meta["dtype"]) if not about["use_pickle"] else None
    if dtype is None:
        raise ArtifactError(f"{name} is stored in a way that this version does not read: {about}")
    flat = np.frombuffer(raw, {"bfloat16": "uint16", "float8_e4m3fn": "uint8"}.get(dtype, dtype))
    sizes, strides = ([each["as_int"] for each in meta[key]] for key in ("sizes", "strides"))
    first = flat[meta["storage_offset"]["as_int"] :]
    array = np.lib.stride_tricks.as_strided(first, sizes, [stride * flat.itemsize for stride in strides])
    return array, dtype


def _as_float32(array: np.ndarray, dtype: str) -> np.ndarray:
    """Return a float32 copy; bfloat16 is the upper half of a float32."""
    if dtype == "bfloat16":
        return (array.astype("uint32") << 16).view("float32")
    return array.astype("float32")
