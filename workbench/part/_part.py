"""What every part has, whatever its family."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from workbench.params import Params

if TYPE_CHECKING:
    import numpy as np


Session = Callable[[Mapping[str, "np.ndarray"]], "dict[str, np.ndarray]"]
"""An opened artifact: named input arrays → named output arrays."""


class Part(Params):
    """A thing that can be picked. Its name is its file's name."""

    family: ClassVar[str] = ""
    title: ClassVar[str] = ""  # a few words, for menus
    source: ClassVar[str] = ""  # paper, equation or library; "" only for plumbing
    requires: ClassVar[tuple[str, ...]] = ()  # import names that must be present
    extra: ClassVar[str] = ""  # pip extra of this project that brings `requires`
    searched: ClassVar[Mapping[str, tuple[Any, ...]]] = {}  # values that a search tries, by parameter; others: default

    @classmethod
    def name(cls) -> str:
        return cls.__module__.rpartition(".")[2]

    @classmethod
    def missing(cls) -> list[str]:
        """Return why this part can't be used in this installation; empty when it can."""
        absent = [name for name in cls.requires if importlib.util.find_spec(name) is None]
        if not absent:
            return []
        command = f"pip install 'workbench[{cls.extra}]'" if cls.extra else f"pip install {' '.join(absent)}"
        return [f"{cls.name()} needs {', '.join(absent)}: {command}"]

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        """Return parameters that make a small working instance, writing needed files into `folder`."""
        return {}

    def problems_with(self, nested: Mapping[str, Part]) -> list[str]:
        """Return what in this part's values doesn't fit the parts inside it, each as `parameter: problem`.

        `nested` holds those parts by parameter. A part can't ask another family; the catalog makes them and asks it.
        """
        return []

    def to_json(self) -> dict[str, Any]:
        """Return `{"use": name, **parameters}`, all defaults filled in."""
        return {"use": self.name(), **self.model_dump(mode="json")}
