"""Data that were made in a notebook cell and taken in by `workbench.adopt.adopt_data`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.data import _arrays_file, _splits
from workbench.nouns import DataCard, Splits, TensorSpec
from workbench.params import param
from workbench.part import Data


class Arrays(Data):
    """One npz file with the parts as they were given; a validation or calibration part that lacks is cut out of train."""

    title = "Adopted arrays (.npz)"
    source = "your own arrays"

    path: str = param(..., help="The .npz file that adopt_data wrote")
    sha256: str = param("", help="Hash that the file must have; empty = not checked")
    split_seed: int = param(0, help="Seed of what is cut out of train", ge=0, le=2**31 - 1)

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        """Adopt 60 tiny images, half of them bright."""
        import numpy as np

        random = np.random.default_rng(0)

        def tiny(num: int) -> tuple[np.ndarray, np.ndarray]:
            targets = np.arange(num) % 2
            return random.random((num, 1, 8, 8)) + targets[:, None, None, None], targets

        made = cls.adopted({"train": tiny(40), "test": tiny(20)}, folder=folder)
        return {"path": made["path"], "sha256": made["sha256"]}

    @classmethod
    def adopted(
        cls, parts: Mapping[str, Any], *, folder: Path, task: str = "image-classification", labels: Sequence[str] = (),
        name: str = "data",
    ) -> dict[str, Any]:  # fmt: skip
        """Check the parts, keep them in a new file and return the record of this part that reads it."""
        found, num_classes = _arrays_file.checked(parts, task=task, labels=labels)
        about = {"name": name, "task": task, "labels": list(labels), "num_classes": num_classes}
        path, sha256 = _arrays_file.write(found, about, folder, name)
        return {"use": cls.name(), "path": str(path), "sha256": sha256}

    def card(self) -> DataCard:
        about = _arrays_file.about(self._file, self.sha256)
        classes = about["num_classes"] if "classification" in about["task"] else 0
        return DataCard(
            name=self.name(),
            task=about["task"],
            inputs=tuple(
                TensorSpec(each["name"], each["dtype"], ("batch", *each["shape"])) for each in about["inputs"]
            ),
            num_classes=about["num_classes"],
            labels=tuple(about["labels"]) or tuple(map(str, range(classes))),
            num_examples=_splits.planned(about["num_examples"]),
            licence="unknown: your own data",
            source=self.path,
        )

    def load(self) -> Splits:
        return _splits.from_given(_arrays_file.read(self._file, self.sha256), seed=self.split_seed)

    @property
    def _file(self) -> Path:
        return Path(self.path).expanduser()
