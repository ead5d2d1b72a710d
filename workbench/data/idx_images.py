"""MNIST and its relatives (Fashion-MNIST, KMNIST, EMNIST) from a folder of their own files."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from workbench.data import _idx_files, _splits
from workbench.errors import InvalidInput
from workbench.nouns import DataCard, Examples, Splits, TensorSpec
from workbench.params import param
from workbench.part import Data

PARTS = {"train": "train", "test": "t10k"}


class IdxImages(Data):
    """Their 60,000 train and 10,000 test images are taken as they are; validation and calibration come out of train."""

    title = "IDX images (MNIST's files)"
    source = "LeCun, Cortes & Burges, the MNIST database; the format is described beside it"

    folder: str = param(..., help="Folder with the four files, plain or .gz")
    num_train: int | None = param(
        None, help="Use the first so many of train; none = all", unit="images", ge=20, le=10_000_000
    )
    split_seed: int = param(0, help="Seed of what is cut out of train", ge=0, le=2**31 - 1)

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        """Write 60 and 20 noise images, half of them bright."""
        import numpy as np

        random = np.random.default_rng(0)
        for name, count in (("train", 60), ("t10k", 20)):
            labels = np.arange(count, dtype=np.uint8) % 2
            images = random.integers(0, 128, (count, 8, 8), dtype=np.uint8) + 127 * labels[:, None, None]
            for what, array in (("images", images), ("labels", labels)):
                head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
                path = folder / "idx" / f"{name}-{what}-idx{array.ndim}-ubyte"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(head + array.astype(np.uint8).tobytes())
        return {"folder": str(folder / "idx")}

    def card(self) -> DataCard:
        shapes = {part: _idx_files.shape(self._file(part, "images", 3)) for part in PARTS}
        counts = {part: shape[0] for part, shape in shapes.items()}
        counts["train"] = min(counts["train"], self.num_train or counts["train"])
        num_classes = 1 + max(int(_idx_files.read(self._file(part, "labels", 1)).max()) for part in PARTS)
        return DataCard(
            name=self.name(),
            task="image-classification",
            inputs=(TensorSpec("pixels", "float32", ("batch", 1, *shapes["train"][1:])),),
            num_classes=num_classes,
            labels=tuple(map(str, range(num_classes))),
            num_examples=_splits.planned(counts),
            licence="unknown: your own files",
            source=self.folder,
        )

    def load(self) -> Splits:
        return _splits.from_given({part: self._read(part) for part in PARTS}, seed=self.split_seed)

    def _read(self, part: str) -> Examples:
        import numpy as np

        images = _idx_files.read(self._file(part, "images", 3))
        labels = _idx_files.read(self._file(part, "labels", 1))
        if len(images) != len(labels):
            raise InvalidInput([f"{self.folder}: {len(images)} {part} images, but {len(labels)} labels"])
        if part == "train" and self.num_train:
            images, labels = images[: self.num_train], labels[: self.num_train]
        return Examples({"pixels": images[:, None].astype(np.float32) / 255}, labels.astype(np.int64))

    def _file(self, part: str, what: str, rank: int) -> Path:
        return _idx_files.find(Path(self.folder).expanduser(), PARTS[part], what, rank)
