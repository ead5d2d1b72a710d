"""A shrinking in words: what it would write, how far it is, what it cost in quality."""

from __future__ import annotations

import html
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from widgets import _words
from workbench import catalog
from workbench.part_text import part_words
from workbench.shrink.preview import Preview
from workbench.wording import bytes_text

WORST = 8  # matrices that are listed
REASONS = 3


def preview_html(found: Preview, lacks: Sequence[str]) -> str:
    """Return sizes before and after, what stays, and what is still to be given."""
    ratio = found.bytes_before / found.bytes_after
    head = f"{bytes_text(found.bytes_before)} → {bytes_text(found.bytes_after)} ({ratio:.2f} × smaller)"
    files = f"{found.num_files} file{'s' * (found.num_files != 1)}"
    how = "block by block, activations carried over" if found.is_calibrated else "tensor by tensor"
    told = f"{found.num_changed} of {found.num_tensors} tensors change, {how}, into {files}; the largest tensor has {bytes_text(found.largest_bytes)}."
    left = "".join(_words.note(f"Left alone: {reason}.") for reason in found.reasons[:REASONS])
    missing = _words.note(f"Still to be given: {' and '.join(lacks)}.") if lacks else ""
    return f'<p class="wb-headline">{html.escape(head)}</p>' + _words.note(told) + left + missing


def progress_text(told: Mapping[str, Any]) -> str:
    """Return bytes, time left and layer."""
    if not told["total"]:
        return str(told["layer"])
    left = "" if told["eta_seconds"] is None else f", {told['eta_seconds']:.0f} s left"
    return f"{bytes_text(told['done'])} of {bytes_text(told['total'])}{left}: {told['layer']}"


def report_html(record: Mapping[str, Any], destination: Path) -> str:
    """Return what came of it: sizes, the matrices that moved most, perplexities where they were measured."""
    layers = [layer for shard in record["shards"].values() for layer in shard["layers"]]
    moved = sorted((layer for layer in layers if "relative_error" in layer), key=lambda layer: -layer["relative_error"])
    ratio = record["bytes_before"] / record["bytes"]
    head = (
        f"{bytes_text(record['bytes_before'])} → {bytes_text(record['bytes'])} ({ratio:.2f} × smaller) in {destination}"
    )
    text = f'<p class="wb-headline">{html.escape(head)}</p>'
    if measured := record.get("perplexity"):
        source, result = measured["source"], measured["result"]
        text += _words.note(f"Perplexity {source:.4g} → {result:.4g} ({result / source - 1:+.1%}).".replace("-", "−"))
    blocks = [
        (layer["name"], f"{layer['output_error']:.2%}") for layer in layers if layer.get("output_error") is not None
    ]
    if blocks:
        text += _words.table(
            "How far each block's output moved, ‖after − before‖ / ‖before‖", ("block", "moved"), blocks
        )
    rows = [
        (html.escape(layer["name"]), bytes_text(layer["bytes_before"]), bytes_text(layer["bytes"]), f"{layer['relative_error']:.2%}",
         f"{layer['zeros']:.1%}" if "zeros" in layer else "")
        for layer in moved[:WORST]
    ]  # fmt: skip
    heads = ("matrix", "before", "after", "‖W − Ŵ‖ / ‖W‖", "zeros")
    return text + (_words.table(f"Moved most, of {len(moved)}", heads, rows) if rows else "")


def line(
    source: str, destination: str, steps: Sequence[Mapping[str, Any]], *, calibration: str = "", perplexity: str = ""
) -> str:
    """Return the command that does the same."""
    words = ["workbench", "shrink", source, destination]
    words += [word for step in steps for word in ("--step", part_words(catalog.make("compress", step)))]
    for name, value in (("--calibration", calibration), ("--perplexity", perplexity)):
        words += [name, value] if value else []
    return shlex.join(words)
