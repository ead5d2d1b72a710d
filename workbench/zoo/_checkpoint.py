"""Reads what a transformers checkpoint says about itself: configuration and tensor names, no weights, no torch."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import _safetensors
from workbench.errors import InvalidInput

PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.pkl")
DESCRIPTIONS = ["*.json", "README.md"]  # what is fetched from the hub to look at a model

Tensors = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint without its weights."""

    source: str
    config: Mapping[str, Any]
    tensors: Tensors  # name → shape, as stored
    preprocessing: Mapping[str, Any]  # preprocessor_config.json; empty when there is none
    licence: str

    @property
    def architecture(self) -> str:
        return str((self.config.get("architectures") or [""])[0])

    @property
    def model_type(self) -> str:
        return str(self.config.get("model_type", ""))


def read(source: str, revision: str) -> Checkpoint:
    """Return what `source` (a folder, or an id on the hub) says; raises InvalidInput with every problem."""
    folder = Path(source).expanduser()
    if not folder.is_dir():
        return _from_hub(source, revision)
    stamp = tuple((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.iterdir()))
    return _from_folder(folder, stamp)


def folder_with_weights(source: str, revision: str) -> Path:
    """Return the folder of a checkpoint; one on the hub is fetched first (safetensors and JSON, nothing else)."""
    folder = Path(source).expanduser()
    return folder if folder.is_dir() else _fetched(source, revision, [*DESCRIPTIONS, "*.safetensors"])


def files(source: str) -> list[Path]:
    """Return the files of a local folder that decide what is loaded; empty for an id on the hub."""
    folder = Path(source).expanduser()
    return sorted([*folder.glob("*.json"), *folder.glob("*.safetensors")]) if folder.is_dir() else []


@functools.lru_cache(maxsize=32)
def _from_folder(folder: Path, stamp: tuple[Any, ...]) -> Checkpoint:
    config = _json(folder / "config.json")
    problems = _problems(folder, config)
    if problems:
        raise InvalidInput(problems)
    return _checkpoint(str(folder), folder, config, _tensors(folder))


@functools.lru_cache(maxsize=32)
def _from_hub(source: str, revision: str) -> Checkpoint:
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", source):
        raise InvalidInput([f"no folder {source!r}, and it is no id on the hub either (owner/name)"])
    folder = _fetched(source, revision, DESCRIPTIONS)
    if any(folder.glob("*.safetensors")):
        return _from_folder(folder, ())
    import huggingface_hub

    try:
        metadata = huggingface_hub.get_safetensors_metadata(source, revision=revision)
    except huggingface_hub.errors.NotASafetensorsRepoError:
        raise InvalidInput([f"{source} has no safetensors files; pickled weights are never opened"]) from None
    shapes = {
        name: tuple(info.shape) for file in metadata.files_metadata.values() for name, info in file.tensors.items()
    }
    return _checkpoint(source, folder, _json(folder / "config.json"), shapes)


def _fetched(source: str, revision: str, patterns: list[str]) -> Path:
    import huggingface_hub

    try:
        return Path(huggingface_hub.snapshot_download(source, revision=revision, allow_patterns=patterns))
    except (OSError, ValueError, huggingface_hub.errors.HfHubHTTPError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise InvalidInput(
            [f"no folder {source!r} here, and the hub gave nothing: {first_line}"],
            next_move="give a local folder, or check the id and the network",
        ) from error


def _checkpoint(source: str, folder: Path, config: Mapping[str, Any], tensors: Tensors) -> Checkpoint:
    preprocessor = folder / "preprocessor_config.json"
    described = _json(preprocessor) if preprocessor.exists() else {}
    return Checkpoint(source, config, tensors, described, _safetensors.licence(folder))


def _problems(folder: Path, config: Mapping[str, Any]) -> list[str]:
    problems = []
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
        reason = f"only {', '.join(pickles)}: opening pickles can run anybody's code" if pickles else "no weights"
        problems.append(f"{folder} holds {reason}; save it with safetensors (save_pretrained)")
    if "quantization_config" in config:
        problems.append(
            f"{folder} is already quantized ({config['quantization_config'].get('quant_method', 'unknown')})"
        )
    if not config.get("model_type"):
        problems.append(f"{folder / 'config.json'} names no model_type")
    return problems


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise InvalidInput([f"{path} is missing: not a folder that transformers saved"]) from None
    except ValueError as error:
        raise InvalidInput([f"{path} is not valid JSON: {error}"]) from None


def _tensors(folder: Path) -> Tensors:
    """Return the shapes in all safetensors files, or in those that the index of a split checkpoint names."""
    names, missing = _safetensors.files(folder)
    if missing:
        raise InvalidInput([f"{folder} lacks {', '.join(missing)}, which its index names"])
    return {each.name: each.shape for name in names for each in _safetensors.tensors(folder / name)}
