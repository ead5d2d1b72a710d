"""Makes keys of watermarks, and looks for the mark of an owner in a saved artifact.

Putting one in is a step of a recipe (`compress/watermark.py`), so that a marked file is measured like any other. A mark proves
something only when the key's id and the owner's words were told to somebody before there was a quarrel. It is lost when
the neurons of its layer are permuted, and whoever has the key can take it out.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from workbench import artifact, catalog, projection
from workbench.errors import ArtifactError
from workbench.part import Format
from workbench.store import disk_errors

CONVINCING = 1e-6  # by chance, over all layers that were looked at


@dataclass(frozen=True)
class Found:
    """The layer that agrees best, and how probable that is without a mark, over all layers that were looked at."""

    layer: str
    num_right: int
    num_bits: int
    num_layers: int
    chance: float

    @property
    def is_there(self) -> bool:
        return self.chance < CONVINCING


def keygen(folder: Path) -> Path:
    """Write a new key into a folder, for its owner alone, and return its file, which is named after its id."""
    key = projection.MarkKey(secrets.token_bytes(projection.KEY_BYTES))
    path = folder / projection.KEY_FILE.format(key.id)
    with disk_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(f"{key.secret.hex()}\n")
    return path


def detect(folder: Path, key_file: Path, owner: str, *, num_bits: int) -> Found:
    """Look for a mark in every layer that could carry one; raises ArtifactError when the files hold none."""
    key = projection.read_key(key_file)
    saved = artifact.read(folder)
    made = catalog.make("formats", saved.card["format_record"])
    assert isinstance(made, Format)
    carriers = {
        layer: weight.values
        for layer, weight in made.stored(folder).items()
        if weight.values.ndim >= 2 and weight.values.size >= projection.WEIGHTS_PER_BIT * num_bits
    }
    if not carriers:
        raise ArtifactError(
            f"{folder} has no layer large enough for {num_bits} bits", next_move="say how many the mark has: --bits"
        )
    bits = projection.bits_of(key, owner, num_bits)
    right = {
        layer: int((projection.projected(weight, key, num_bits) * bits > 0).sum()) for layer, weight in carriers.items()
    }
    best = max(right, key=lambda layer: right[layer])
    by_chance = min(1.0, projection.chance(right[best], num_bits) * len(carriers))
    return Found(best, right[best], num_bits, len(carriers), by_chance)
