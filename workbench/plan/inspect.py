"""What a checkpoint says about itself from headers alone: tensors, parameters, bytes, caches, licence; no weight is read."""

from __future__ import annotations

import collections
import re
from pathlib import Path
from typing import Any

from workbench import _safetensors
from workbench.errors import InvalidInput
from workbench.plan import architecture


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
    for each in tensors:
        counted = {"tensors": 1, "params": each.num_values, "bytes": each.num_bytes}
        dtypes[each.dtype].update(counted)
        pattern = re.sub(r"(?<=\.)\d+(?=\.)", "*", each.name)
        group = groups.setdefault(
            pattern, {"pattern": pattern, "shape": list(each.shape), "dtype": each.dtype, **dict.fromkeys(counted, 0)}
        )
        for key, value in counted.items():
            group[key] += value
    return {
        "name": folder.resolve().name,
        "source": str(folder),
        "architecture": architecture.record(decoder) if decoder else None,
        "why_not_planned": why_not,
        "licence": _safetensors.licence(folder),
        "num_params": sum(counts["params"] for counts in dtypes.values()),
        "bytes": sum(counts["bytes"] for counts in dtypes.values()),
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


def _tensors(folder: Path) -> tuple[list[_safetensors.Stored], int, list[str]]:
    """Return every tensor, how many files hold them, and files that the index names in vain."""
    names, missing = _safetensors.files(folder)
    if not names:
        raise InvalidInput([f"{folder} holds no safetensors files; pickled weights are never opened"])
    return [each for name in names for each in _safetensors.tensors(folder / name)], len(names), missing


def _decoder(folder: Path) -> tuple[architecture.Architecture | None, str]:
    """Return the decoder that config.json tells of; None and why for other models."""
    try:
        return architecture.find(str(folder)), ""
    except InvalidInput as error:
        return None, error.message
