"""What is known of a model and of its data, as a few lines of HTML."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping

from widgets._estimate_words import count_words
from workbench.nouns import DataCard, ModelCard, TensorSpec

SPLITS = ("train", "validation", "calibration", "test")


def model_words(card: ModelCard) -> str:
    """Return size, shapes, worth and licence of a model."""
    macs = "not known before a run" if card.macs is None else count_words(card.macs)
    worth = "worth something before any training" if card.pretrained else "random until they are trained"
    facts = {
        "parameters": f"{card.num_params:,} in {len(card.layers)} layers, "
        f"{sum(layer.prunable for layer in card.layers)} of them prunable",
        "MACs": f"{macs} for one example",
        "input": ", ".join(map(_tensor, card.inputs)),
        "output": ", ".join(map(_tensor, card.outputs)),
        "weights": f"{card.precision}, {worth}",
        "licence": card.licence or "not stated",
    }
    return _list(facts) + "".join(f'<div class="wb-note">{html.escape(note)}</div>' for note in card.notes)


def data_words(card: DataCard) -> str:
    """Return task, classes, sizes of the splits and licence of a data set."""
    sizes = [f"{name} {card.num_examples[name]:,}" for name in SPLITS if name in card.num_examples]
    classes = "tokens in the vocabulary" if card.task == "language-modelling" else "classes"
    facts = {
        "task": card.task.replace("-", " ") + (f", {card.num_classes:,} {classes}" if card.num_classes else ""),
        "examples": ", ".join(sizes) or "counted when they are loaded",
        "licence": card.licence or "not stated",
    }
    return _list(facts | ({"origin": "made by a program"} if card.synthetic else {}))


def _tensor(spec: TensorSpec) -> str:
    shape = [extent for extent in spec.shape if extent != "batch"]
    size = " × ".join(map(str, shape)) or "1"
    whole = f" = {math.prod(shape):,}" if len(shape) > 1 and all(isinstance(extent, int) for extent in shape) else ""
    return f"{spec.name} {size}{whole}, {spec.dtype}"


def _list(facts: Mapping[str, str]) -> str:
    items = "".join(f"<dt>{name}</dt><dd>{html.escape(text)}</dd>" for name, text in facts.items())
    return f'<dl class="wb-facts">{items}</dl>'
