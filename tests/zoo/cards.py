"""Small data cards and batches for the model tests."""

import numpy as np

from workbench.nouns import DataCard, TensorSpec


def images(size=8, channels=1, classes=10):
    """A card of image data."""
    spec = TensorSpec("pixels", "float32", ("batch", channels, size, size))
    return DataCard(f"images{size}", "image-classification", (spec,), classes)


def text(task="language-modelling", classes=256, length=12, names=("tokens",)):
    """A card of token data; further names are masks of the same shape."""
    specs = tuple(TensorSpec(name, "int64", ("batch", length)) for name in names)
    return DataCard(f"text{length}", task, specs, classes)


def batch(card, num=5, seed=0):
    """Random inputs for a card, by name."""
    random = np.random.default_rng(seed)
    made = {}
    for spec in card.inputs:
        shape = (num, *spec.shape[1:])
        if spec.dtype == "float32":
            made[spec.name] = random.random(shape, np.float32)
        else:
            made[spec.name] = np.ones(shape, np.int64) if "mask" in spec.name else random.integers(0, 200, shape)
    return made
