"""What a checkpoint says about itself from headers alone: tensors, parameters, bytes, caches, licence; no weight is read."""

from __future__ import annotations

import collections
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.errors import InvalidInput
from workbench.plan import architecture

INDEX = "model.safetensors.index.json"
MAX_HEADER_BYTES = 100_000_000  # the format's own limit


def inspect(source: str) -> dict[str, Any]:
    """Return the record of a folder with safetensors, or of a known model's name; raises InvalidInput otherwise.

    Keys: name, source, architecture (or null), why_not_planned, licence, num_params, bytes, dtypes {dtype: {tensors,
    params, bytes}}, groups [{pattern, tensors, params, bytes, shape}], files, kv_bytes_per_token, missing_files.
    """
    folder = Path(source).expanduser()
    if not folder.is_dir():
        return _by_name(source)
    tensors, files, missing = _tensors(folder)
    decoder, why_not = _decoder(folder)
    dtypes: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    groups: dict[str, dict[str, Any]] = {}
    for name, dtype, shape, num_bytes in tensors:
        counted = {"tensors": 1, "params": math.prod(shape), "bytes": num_bytes}
        dtypes[dtype].update(counted)
        pattern = re.sub(r"(?<=\.)\d+(?=\.)", "*", name)
        group = groups.setdefault(
            pattern, {"pattern": pattern, "shape": list(shape), "dtype": dtype, **dict.fromkeys(counted, 0)}
        )
        for key, value in counted.items():
            group[key] += value
    return {
        "name": folder.resolve().name,
        "source": str(folder),
        "architecture": architecture.record(decoder) if decoder else None,
        "why_not_planned": why_not,
        "licence": _licence(folder),
        "num_params": sum(each["params"] for each in dtypes.values()),
        "bytes": sum(each["bytes"] for each in dtypes.values()),
        "dtypes": {dtype: dict(counts) for dtype, counts in dtypes.items()},
        "groups": list(groups.values()),
        "files": files,
        "missing_files": missing,
        "kv_bytes_per_token": decoder.kv_bytes() if decoder else None,
    }


def _by_name(name: str) -> dict[str, Any]:
    found = architecture.find(name)
    return {
        "name": name, "source": found.source, "architecture": architecture.record(found), "why_not_planned": "",
        "licence": "", "num_params": found.num_params, "bytes": 2 * found.num_params, "dtypes": {}, "groups": [], "files": 0,
        "missing_files": [], "kv_bytes_per_token": found.kv_bytes(),
    }  # fmt: skip


def _tensors(folder: Path) -> tuple[list[tuple[str, str, tuple[int, ...], int]], int, list[str]]:
    """Return (name, dtype, shape, bytes) of every tensor, how many files hold them, and files that the index names in vain."""
    names = sorted(path.name for path in folder.glob("*.safetensors"))
    missing: list[str] = []
    if (folder / INDEX).is_file():
        try:
            wanted = sorted(set(json.loads((folder / INDEX).read_text())["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise InvalidInput([f"{folder / INDEX} is no index of safetensors files: {error!r}"]) from error
        if outside := [name for name in wanted if Path(name).name != name]:
            raise InvalidInput([f"{folder / INDEX} names files elsewhere: {', '.join(outside[:3])}"])
        names = [name for name in wanted if (folder / name).is_file()]
        missing = [name for name in wanted if name not in names]
    if not names:
        raise InvalidInput([f"{folder} holds no safetensors files; pickled weights are never opened"])
    return [each for name in names for each in _header(folder / name)], len(names), missing


def _header(path: Path) -> Iterator[tuple[str, str, tuple[int, ...], int]]:
    """Yield the tensors of one file; raises InvalidInput where header and file disagree."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= min(MAX_HEADER_BYTES, size - 8):
            raise InvalidInput([f"{path} is cut off, or no safetensors file: its header claims {length:,} bytes"])
        text = file.read(length)
    try:
        header = {name: each for name, each in json.loads(text).items() if name != "__metadata__"}
        spans = sorted((each["data_offsets"], name) for name, each in header.items())
        found = [
            (name, each["dtype"], tuple(each["shape"]), each["data_offsets"][1] - each["data_offsets"][0])
            for name, each in header.items()
        ]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InvalidInput([f"{path} has a damaged header: {error!r}"]) from error
    end = 0
    for (begin, stop), name in spans:
        if begin != end or stop < begin:
            raise InvalidInput([f"{path}: {name} lies at bytes {begin:,} to {stop:,}, where {end:,} was expected"])
        end = stop
    if size != 8 + length + end:
        raise InvalidInput(
            [f"{path} has {size:,} bytes, {8 + length + end:,} expected: it is cut off, or not what it says"]
        )
    yield from found


def _decoder(folder: Path) -> tuple[architecture.Architecture | None, str]:
    """Return the decoder that config.json tells of; None and why for other models."""
    try:
        return architecture.find(str(folder)), ""
    except InvalidInput as error:
        return None, error.message


def _licence(folder: Path) -> str:
    readme = folder / "README.md"
    found = (
        re.search(r"^license:\s*(\S+)", readme.read_text(errors="replace"), re.MULTILINE) if readme.is_file() else None
    )
    return found[1] if found else "unknown: the checkpoint does not say"
