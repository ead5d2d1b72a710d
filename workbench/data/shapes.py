"""Coloured shapes on coloured ground, drawn by numpy: ten classes, two of them rare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.data import _splits
from workbench.nouns import DataCard, Examples, Splits, TensorSpec
from workbench.params import param
from workbench.part import Data

LABELS = ("circle", "ring", "square", "frame", "triangle", "cross", "bar", "half_disc", "star", "crescent")
RARE = ("star", "crescent")
RARE_SHARE = 0.02


class Shapes(Data):
    """Synthetic, and says so. Each rare class is 2 % of all images; places, sizes, angles and colours are random."""

    title = "Drawn shapes (synthetic)"
    source = "drawn by this project; no photograph, no download"

    size: int = param(32, help="Height and width of an image", unit="pixels", ge=8, le=256)
    num_examples: int = param(4000, help="Images in all four parts together", unit="images", ge=500, le=100_000)
    noise: float = param(0.08, help="Standard deviation of the noise on each pixel (pixels lie in [0, 1])", ge=0, le=1)
    seed: int = param(0, help="Seed of the drawing and of the split", ge=0, le=2**31 - 1)

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        return {"size": 16, "num_examples": 500}

    def card(self) -> DataCard:
        return DataCard(
            name=self.name(),
            task="image-classification",
            inputs=(TensorSpec("pixels", "float32", ("batch", 3, self.size, self.size)),),
            num_classes=len(LABELS),
            labels=LABELS,
            num_examples=_splits.sizes(self.num_examples),
            licence="CC0 1.0",
            source=self.source,
            synthetic=True,
        )

    def load(self) -> Splits:
        import numpy as np

        from workbench.data import _drawing

        random = np.random.default_rng(self.seed)
        counts = self._counts()
        pixels = np.concatenate([_drawing.images(label, counts[label], self.size, random) for label in LABELS])
        if self.noise:
            pixels += random.standard_normal(pixels.shape, dtype=np.float32) * np.float32(self.noise)
            np.clip(pixels, 0, 1, out=pixels)
        targets = np.repeat(np.arange(len(LABELS)), [counts[label] for label in LABELS])
        parts = _splits.stratified(targets, _splits.sizes(self.num_examples), seed=self.seed)
        return _splits.by_index(Examples({"pixels": pixels}, targets), parts)

    def _counts(self) -> dict[str, int]:
        """Return how many images each class has."""
        num_rare = round(self.num_examples * RARE_SHARE)
        common = [label for label in LABELS if label not in RARE]
        each, over = divmod(self.num_examples - num_rare * len(RARE), len(common))
        return {label: num_rare if label in RARE else each + (common.index(label) < over) for label in LABELS}
