"""A person's own images: one folder per class."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from workbench.data import _image_files, _splits
from workbench.nouns import DataCard, Examples, Splits, TensorSpec
from workbench.params import param
from workbench.part import Data


class ImageFolder(Data):
    """FOLDER/class/*.png is split by seed; FOLDER/train/class/*.png and FOLDER/test/… are taken as they are.

    Where a validation or calibration folder is missing, a tenth of train takes its place.
    """

    title = "Folder of images"
    source = "your own files"
    requires = ("PIL",)
    extra = "images"

    folder: str = param(..., help="Folder with one subfolder per class")
    size: int = param(32, help="Height and width that images are resized to", unit="pixels", ge=4, le=1024)
    channels: Literal[1, 3] = param(3, help="1 = grey, 3 = colour")
    split_seed: int = param(0, help="Seed of the split", ge=0, le=2**31 - 1)

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        """Write 2 × 10 tiny noise images, one class bright and one dark."""
        import numpy as np
        from PIL import Image

        random = np.random.default_rng(0)
        for label, low in (("bright", 128), ("dark", 0)):
            (folder / "images" / label).mkdir(parents=True, exist_ok=True)
            for index in range(10):
                pixels = random.integers(low, low + 128, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / "images" / label / f"{index}.png")
        return {"folder": str(folder / "images"), "size": 8}

    def card(self) -> DataCard:
        parts = _image_files.parts_of(self._path)
        labels = _image_files.labels_of(parts)
        return DataCard(
            name=self.name(),
            task="image-classification",
            inputs=(TensorSpec("pixels", "float32", ("batch", self.channels, self.size, self.size)),),
            num_classes=len(labels),
            labels=labels,
            num_examples=_splits.planned({part: sum(map(len, classes.values())) for part, classes in parts.items()}),
            licence="unknown: your own files",
            source=self.folder,
        )

    def load(self) -> Splits:
        parts = _image_files.parts_of(self._path)
        labels = _image_files.labels_of(parts)
        loaded = {part: self._read(classes, labels) for part, classes in parts.items()}
        if "" not in loaded:
            return _splits.from_given(loaded, seed=self.split_seed)
        sizes = _splits.sizes(len(loaded[""]))
        return _splits.by_index(loaded[""], _splits.stratified(loaded[""].targets, sizes, seed=self.split_seed))

    @property
    def _path(self) -> Path:
        return Path(self.folder).expanduser()

    def _read(self, classes: _image_files.Classes, labels: tuple[str, ...]) -> Examples:
        import numpy as np

        files = [(path, labels.index(label)) for label, paths in classes.items() for path in paths]
        pixels = _image_files.read([path for path, _ in files], size=self.size, channels=self.channels)
        return Examples({"pixels": pixels}, np.array([target for _, target in files], np.int64))
