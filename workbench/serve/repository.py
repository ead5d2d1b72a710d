"""The folder of models, laid out as Triton wants it, so that Triton and OpenVINO Model Server take it as it is.

REPOSITORY/NAME/config.pbtxt     tensors, backend, batching, which versions are served
REPOSITORY/NAME/1/               a whole artifact: model.onnx, card.json, probe.npz, load.py; or an encrypted one
REPOSITORY/NAME/1.sig            its signature, when it has one
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import artifact
from workbench.errors import ArtifactError, InvalidInput
from workbench.nouns import Artifact
from workbench.protect import encrypt, load, sign
from workbench.serve import _config
from workbench.store import disk_errors

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
VERSION = re.compile(r"[1-9][0-9]{0,17}")


@dataclass(frozen=True)
class Found:
    """A model as it lies on disk; nothing of it has been opened."""

    name: str
    versions: Mapping[int, Path]  # version → artifact folder
    config_file: Path | None  # None = made from the card


def add(folder: Path, to: Path, *, name: str, version: int | None = None, keys: Path | None = None) -> tuple[Path, int]:
    """Copy an artifact into a repository as the next version (or the given one), with its signature.

    `keys` opens an encrypted one for its card. Returns the model's folder and the version. The copy appears whole; versions
    are never overwritten. Raises InvalidInput when the model there takes or gives other tensors.
    """
    _config.need_extra()
    check_name(name)
    card = _card(folder, keys)
    model = to / name
    known = _versions(model) if model.is_dir() else {}
    version = version or max(known, default=0) + 1
    if version in known:
        raise InvalidInput([f"{model} has version {version} already"], next_move="leave out --version for the next one")
    config = _config.made(name, card)
    with disk_errors(to):
        model.mkdir(parents=True, exist_ok=True)
        _write_config(model / _config.FILE, config)
        draft = Path(tempfile.mkdtemp(prefix=".adding-", dir=model))
        try:
            shutil.copytree(folder, draft / "artifact", symlinks=True)
            if (signature := sign.signature_of(folder)).is_file():
                shutil.copyfile(signature, sign.signature_of(model / str(version)))
            (draft / "artifact").rename(model / str(version))
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return model, version


def scan(root: Path) -> dict[str, Found]:
    """Return the models of a repository by name; folders that are links, or hidden, or have no version, are no models."""
    if not root.is_dir():
        raise InvalidInput([f"no repository {root}"], next_move="workbench repository add RUN --name NAME --to DIR")
    found = {}
    for path in sorted(root.iterdir()):
        if not NAME.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
            continue
        config = path / _config.FILE
        if versions := _versions(path):
            found[path.name] = Found(path.name, versions, config if config.is_file() else None)
    return found


def config_of(found: Found, card: Mapping[str, Any]) -> Any:
    """Return what the config says, with its own name; raises ArtifactError when it tells other tensors than the card."""
    made = _config.made(found.name, card)
    if found.config_file is None:
        return made
    written = _config.read(found.config_file)
    if written.name not in ("", found.name):
        raise ArtifactError(f"{found.config_file} is called {written.name!r}", next_move=f"call it {found.name!r}")
    if _tensors(written) != _tensors(made):
        raise ArtifactError(
            f"{found.config_file} tells other inputs or outputs than {found.name}'s card",
            next_move="remove config.pbtxt and add the run anew",
        )
    return written


def check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidInput(
            [f"{name!r} is no name of a model"], next_move="letters, digits, _ . and -, at most 128, no path"
        )


def _versions(model: Path) -> dict[int, Path]:
    return {
        int(path.name): path
        for path in model.iterdir()
        if VERSION.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    }


def _card(folder: Path, keys: Path | None) -> Mapping[str, Any]:
    if not encrypt.is_encrypted(folder):
        return artifact.read(folder).card
    if keys is None:
        raise InvalidInput([f"{folder} is encrypted"], next_move="name the folder of its keys: --protect KEYS")
    opened: Artifact = load.load(folder, keys, must_be_signed=False)[0]
    return opened.card


def _write_config(path: Path, config: Any) -> None:
    """Write a config, or leave the one that is there when it is of the same tensors."""
    if path.exists():
        if _tensors(_config.read(path)) != _tensors(config):
            raise InvalidInput(
                [f"{path.parent.name} is there with other inputs or outputs"], next_move="choose another --name"
            )
        return
    path.write_text(_config.text(config))


def _tensors(config: Any) -> list[tuple[Any, ...]]:
    each = [("input", tensor) for tensor in config.input] + [("output", tensor) for tensor in config.output]
    return [(kind, tensor.name, tensor.data_type, tuple(tensor.dims)) for kind, tensor in each]
