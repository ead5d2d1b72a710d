"""Handwritten digits: 1,797 real 8 × 8 images that come with scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.data import _splits
from workbench.nouns import DataCard, Examples, Splits, TensorSpec
from workbench.params import param
from workbench.part import Data

if TYPE_CHECKING:
    import numpy as np

SIZES = {"train": 598, "validation": 149, "calibration": 150, "test": 900}
NUM_EXAMPLES, NUM_FOLDS = 1797, 5


class Digits(Data):
    """Pixels are scaled to [0, 1]. With `fold` the test part is that fifth, and five folds pool to all 1,797."""

    title = "Handwritten digits"
    source = "UCI optical recognition of handwritten digits (Alpaydin & Kaynak 1998), test part, as in scikit-learn"

    split_seed: int = param(0, help="Seed of the split", ge=0, le=2**31 - 1)
    fold: int | None = param(None, help="Which fifth is the test part; none = the fixed 900", ge=0, le=NUM_FOLDS - 1)

    def _sizes(self) -> dict[str, int]:
        if self.fold is None:
            return SIZES
        num_test = NUM_EXAMPLES // NUM_FOLDS + (self.fold < NUM_EXAMPLES % NUM_FOLDS)
        rest = NUM_EXAMPLES - num_test
        validation, calibration = rest // 6, rest // 6
        return {
            "train": rest - validation - calibration,
            "validation": validation,
            "calibration": calibration,
            "test": num_test,
        }

    def card(self) -> DataCard:
        return DataCard(
            name=self.name(),
            task="image-classification",
            inputs=(TensorSpec("pixels", "float32", ("batch", 1, 8, 8)),),
            num_classes=10,
            labels=tuple("0123456789"),
            num_examples=self._sizes(),
            licence="CC BY 4.0",
            source=self.source,
        )

    def load(self) -> Splits:
        import numpy as np
        from sklearn.datasets import load_digits

        raw = load_digits()
        pixels = (raw.images / 16.0).astype(np.float32)[:, None]
        targets = raw.target.astype(np.int64)
        return _splits.by_index(Examples({"pixels": pixels}, targets), self._parts(targets))

    def _parts(self, targets: np.ndarray) -> dict[str, np.ndarray]:
        if self.fold is None:
            return _splits.stratified(targets, SIZES, seed=self.split_seed)
        import numpy as np

        folds = {f"fold {i}": len(range(i, NUM_EXAMPLES, NUM_FOLDS)) for i in range(NUM_FOLDS)}
        test = _splits.stratified(targets, folds, seed=self.split_seed)[f"fold {self.fold}"]
        rest = np.setdiff1d(np.arange(NUM_EXAMPLES), test)
        sizes = {name: size for name, size in self._sizes().items() if name != "test"}
        parts = _splits.stratified(targets[rest], sizes, seed=self.split_seed)
        return {**{name: rest[index] for name, index in parts.items()}, "test": test}
