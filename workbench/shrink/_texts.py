"""A text as tokens of a checkpoint's own tokenizer, cut into pieces of one length."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workbench import tokenizer
from workbench.errors import InvalidInput


def tokens(folder: Path, file: Path, *, length: int, num_texts: int | None) -> np.ndarray:
    """Return int64 (texts, length); None = all that the file has. Raises InvalidInput when there are fewer, or no tokenizer."""
    if not file.is_file():
        raise InvalidInput([f"no file {file}"])
    found = np.asarray(tokenizer.read(folder).encode(file.read_text(errors="replace")), np.int64)
    available = len(found) // length
    if available < (num_texts or 1):
        raise InvalidInput(
            [f"{file} makes {available} texts of {length} tokens, and {num_texts or 1} are wanted"],
            next_move="give a longer file, or fewer or shorter texts",
        )
    texts: np.ndarray = found[: (num_texts or available) * length].reshape(-1, length)
    return texts
