"""The checkpoint to shrink: a transformers folder, looked into by its headers and held to what they say."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import _safetensors
from workbench._numbers import FLOATS
from workbench._safetensors import Stored
from workbench.errors import InvalidInput

CONFIG = "config.json"
NOT_TAKEN = (CONFIG, "shrink.json")  # written anew
TURNED = ("gpt2", "openai-gpt")  # model types whose matrices lie as (inputs, outputs)
STAYS = re.compile(
    r"lm_head|embed_out|classifier|score|gate|router|shared|wte|wpe|.*embed(ding)?s?(_\w+)?"
)  # a module's own name
ALONGSIDE = (
    "*.json",
    "*.txt",
    "*.model",
    "*.jinja",
    "*.md",
    "LICENSE*",
    "NOTICE*",
    "USE_POLICY*",
)  # text, no weights, no code


@dataclass(frozen=True)
class Source:
    """A checkpoint whose every tensor is known."""

    folder: Path
    config: Mapping[str, Any]
    tensors: tuple[tuple[Path, Stored], ...]  # in the order of files and bytes
    fingerprint: str  # of names, shapes, sizes and times: another one is another checkpoint

    @property
    def num_bytes(self) -> int:
        return sum(stored.num_bytes for _, stored in self.tensors)


def read(folder: Path) -> Source:
    """Look into a folder; raises InvalidInput with what is wrong with it."""
    names, missing = _safetensors.files(folder)
    config = _config(folder)
    problems = []
    if missing:
        problems.append(f"{folder} lacks {', '.join(missing[:3])}, which its index names")
    if not names:
        problems.append(f"{folder} holds no safetensors files; pickled weights are never opened")
    if "quantization_config" in config:
        method = dict(config["quantization_config"]).get("quant_method", "unknown")
        problems.append(f"{folder} is already quantized ({method}): give the checkpoint that it was made of")
    if problems:
        raise InvalidInput(problems)
    tensors = [(folder / name, stored) for name in names for stored in _safetensors.tensors(folder / name)]
    _check(folder, tensors)
    stamps = [
        [path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in dict.fromkeys(p for p, _ in tensors)
    ]
    told = json.dumps([stamps, config, [[s.name, s.dtype, s.shape, s.begin] for _, s in tensors]], sort_keys=True)
    return Source(folder, config, tuple(tensors), hashlib.sha256(told.encode()).hexdigest())


def is_matrix(stored: Stored) -> bool:
    """Say whether a tensor is the weight of a linear layer that steps change: no embedding, head, router, norm or bias."""
    if not stored.name.endswith(".weight") or len(stored.shape) != 2 or stored.dtype not in FLOATS:
        return False
    return not STAYS.fullmatch(layer_of(stored).rpartition(".")[2])


def layer_of(stored: Stored) -> str:
    return stored.name.removesuffix(".weight")


def alongside(folder: Path) -> list[Path]:
    """Return the files that belong to a checkpoint besides its weights, index and configuration."""
    found = {path for pattern in ALONGSIDE for path in folder.glob(pattern) if path.is_file()}
    return sorted(path for path in found if path.name not in NOT_TAKEN and not path.name.endswith(".index.json"))


def _config(folder: Path) -> Mapping[str, Any]:
    file = folder / CONFIG
    try:
        config = json.loads(file.read_text())
    except FileNotFoundError:
        raise InvalidInput([f"{file} is missing: not a folder that transformers saved"]) from None
    except ValueError as error:
        raise InvalidInput([f"{file} is not valid JSON: {error}"]) from None
    if not isinstance(config, dict):
        raise InvalidInput([f"{file} holds no configuration"])
    return config


def _check(folder: Path, tensors: list[tuple[Path, Stored]]) -> None:
    where: dict[str, str] = {}
    for path, stored in tensors:
        if stored.name in where:
            raise InvalidInput([f"{stored.name} lies in {where[stored.name]} and in {path.name}"])
        where[stored.name] = path.name
    index = folder / _safetensors.INDEX
    if not index.is_file():
        return
    told = json.loads(index.read_text())["weight_map"]
    if wrong := [name for name, file in told.items() if where.get(name) != file]:
        raise InvalidInput(
            [f"{index} says that {wrong[0]} lies in {told[wrong[0]]}, and it lies {_in(where, wrong[0])}"]
        )


def _in(where: Mapping[str, str], name: str) -> str:
    return f"in {where[name]}" if name in where else "nowhere"
