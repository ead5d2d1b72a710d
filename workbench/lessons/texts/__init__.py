"""Every sentence of the lessons: a folder per language, in it a YAML file per lesson and `_shared.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

import yaml

from workbench.errors import InvalidInput

FOLDER = Path(__file__).parent


def languages() -> tuple[str, ...]:
    """Return the languages that there are, as their two letters."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob("*/_shared.yaml")))


def languages_of(name: str) -> tuple[str, ...]:
    """Return the languages of one lesson."""
    return tuple(each for each in languages() if (FOLDER / each / f"{name}.yaml").is_file())


@cache
def of(name: str, language: str) -> dict[str, Any]:
    """Return the texts of a lesson (by its file's name), or the `_shared` ones; raises InvalidInput for a missing language."""
    path = FOLDER / language / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(languages_of(name))
        raise InvalidInput([f"lesson {name} isn't translated into {language!r}"], next_move=f"choose one of: {known}")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def filled(text: str, values: Mapping[str, Any]) -> str:
    """Put values where a text names them with $; raises KeyError for one that isn't there, which tests find."""
    return Template(text).substitute(values).strip()
