"""Bytes and numbers of the saved files: four sizes that people mix up, under four names."""

from __future__ import annotations

import zlib
from pathlib import Path

from workbench.nouns import Measurement
from workbench.part import MeasureContext, Metric

BLOCK = 2**20


class Size(Metric):
    """Exact values, so no intervals.

    artifact_bytes: the files needed to predict · folder_bytes: everything, with card, probe and loader ·
    dense_bytes: the parameters at their stored width, zeros included · zipped_bytes: the needed files through deflate ·
    num_params, nonzero_params: counted in the file.
    """

    title = "Size"
    source = "counted in the saved files"

    def measure(self, ctx: MeasureContext) -> list[Measurement]:
        folder, card = Path(ctx.artifact.folder), ctx.artifact.card
        needed = [folder / name for name, facts in card["files"].items() if facts["needed"]]
        stored = card["precision"]
        values = {
            "artifact_bytes": sum(path.stat().st_size for path in needed),
            "folder_bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
            "dense_bytes": stored["dense_bytes"],
            "zipped_bytes": sum(_deflated(path) for path in needed),
            "num_params": stored["num_params"],
            "nonzero_params": stored["nonzero_params"],
        }
        how = {"format": card["format"], "weights": stored["weights"]}
        return [
            Measurement(name, "bytes" if name.endswith("bytes") else "parameters", "lower", value, conditions=how)
            for name, value in values.items()
        ]


def _deflated(path: Path) -> int:
    """Return the size of a file after deflate at level 6 (what zip does), read block by block."""
    squeeze, size = zlib.compressobj(6), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            size += len(squeeze.compress(block))
    return size + len(squeeze.flush())
