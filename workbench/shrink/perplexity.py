"""Perplexity of a checkpoint on a text, block by block: memory holds one block, dense or packed."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np

from workbench import _safetensors
from workbench.errors import InvalidInput


def perplexity(folder: Path, file: Path, *, length: int = 512, num_texts: int | None = 32) -> float:
    """Return exp of the mean loss of each next token; num_texts None = all of the file. Weights are widened to float32.

    Inputs that a checkpoint rounds while running (int8_dynamic) aren't rounded here.
    """
    from workbench.shrink import _model, _texts
    from workbench.shrink._reading import Weights

    names, missing = _safetensors.files(folder)
    if missing or not names:
        raise InvalidInput([f"{folder} is no whole checkpoint"])
    texts = _texts.tokens(folder, file, length=length, num_texts=num_texts)
    weights, skeleton = Weights([folder / name for name in names]), _model.Skeleton(folder, length)
    with tempfile.TemporaryFile() as scratch:
        shape = (*texts.shape, weights.tensors["model.embed_tokens.weight"][1].shape[1])
        hidden = np.memmap(scratch, np.float32, "w+", shape=shape)
        _model.embedded(weights, texts, hidden)
        for index in range(len(skeleton.layers)):
            _model.passed(skeleton.block(index, weights.dense), hidden, hidden)
            skeleton.release(index)
        return math.exp(_model.losses(skeleton, weights, hidden, texts).mean())
