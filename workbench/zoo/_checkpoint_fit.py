"""Whether a checkpoint and data go together, and what has to be done so that they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench import tokenizer
from workbench.nouns import DataCard
from workbench.zoo import _layers
from workbench.zoo._checkpoint import Checkpoint

ROLES = {  # what a class made for one task can serve as: its last layer is kept, or made anew
    "ForImageClassification": ("image-classification",),
    "ForSequenceClassification": ("text-classification",),
    "ForCausalLM": ("language-modelling", "text-classification"),
    "LMHeadModel": ("language-modelling", "text-classification"),
    "ForConditionalGeneration": ("language-modelling", "text-classification"),
    "ForMaskedLM": ("text-classification",),
    "ForPreTraining": ("text-classification", "image-classification"),
    "Model": ("text-classification", "image-classification"),
}
SMALLEST_PICTURE = 32  # networks without a fixed size halve about five times
LENGTH_KEYS = ("max_position_embeddings", "n_positions")


def why_not(checkpoint: Checkpoint, data: DataCard) -> list[str]:
    """Return reasons against this checkpoint on this data."""
    possible = _possible(checkpoint)
    wanted = data.task if data.task != "unlabelled" else possible[0] if possible else "nothing"
    if wanted not in possible:
        serves = " or ".join(possible) or "no task known here"
        return [
            f"{checkpoint.architecture or 'a checkpoint without a class'} serves {serves}, {data.name} is {data.task}"
        ]
    pictures = [spec for spec in data.inputs if spec.name == "pixels" and len(spec.shape) == 4]
    if wanted == "image-classification":
        return (
            _why_not_pictures(checkpoint, data)
            if pictures
            else [f"{data.name} has no pixels (batch, channels, height, width)"]
        )
    return _why_not_text(checkpoint, data, wanted)


def role(checkpoint: Checkpoint, data: DataCard) -> str:
    """Return the task that the model is built for."""
    return data.task if data.task != "unlabelled" else _possible(checkpoint)[0]


def notes(checkpoint: Checkpoint, data: DataCard) -> tuple[str, ...]:
    """Return what differs from the checkpoint as it was saved."""
    found = []
    if data.task.endswith("classification") and has_new_head(checkpoint, data):
        found.append(f"new last layer for {data.num_classes} classes, to be trained")
    if vocabulary(checkpoint) and "tokens" in {spec.name for spec in data.inputs}:
        found += _notes_on_tokens(checkpoint, data)
    return tuple(found)


def _notes_on_tokens(checkpoint: Checkpoint, data: DataCard) -> list[str]:
    """Return what is to be said when the data's tokens aren't those that the model learned."""
    own = Path(checkpoint.source).expanduser()
    if data.tokens is None and data.task != "language-modelling":
        return []  # nothing is known of them
    if data.tokens is None or not data.tokens.tokenizer:
        count = data.tokens.vocabulary if data.tokens else data.num_classes
        said = f"{data.name} uses {count} of {vocabulary(checkpoint)} tokens, not as the model learned them"
        there = (own / tokenizer.FILE).exists()
        return [said + (f": text_files and text_csv take tokenizer={checkpoint.source}" if there else "")]
    if tokenizer.same(own, data.tokens.tokenizer):
        return []
    return [f"{data.name} is read by the tokenizer of {data.tokens.tokenizer}, not by the model's own"]


def has_new_head(checkpoint: Checkpoint, data: DataCard) -> bool:
    kept = checkpoint.architecture.endswith(("ForImageClassification", "ForSequenceClassification"))
    return not kept or num_labels(checkpoint) != data.num_classes


def num_labels(checkpoint: Checkpoint) -> int:
    """Return the classes of the stored head (transformers' default is two)."""
    return len(checkpoint.config.get("id2label") or {}) or 2


def vocabulary(checkpoint: Checkpoint) -> int:
    return int(checkpoint.config.get("vocab_size") or 0)


def output_shape(checkpoint: Checkpoint, data: DataCard) -> tuple[int, ...]:
    """Return the shape of one example's logits."""
    if role(checkpoint, data) == "language-modelling":
        return int(data.inputs[-1].shape[1]), vocabulary(checkpoint)
    return (data.num_classes if data.task.endswith("classification") else num_labels(checkpoint),)


def seen_size(checkpoint: Checkpoint, data: DataCard) -> tuple[int, int] | None:
    """Return the height and width that pictures have when they reach the model; None without pictures."""
    if data.inputs[0].name != "pixels":
        return None
    _, height, width = _layers.image_shape(data)
    fixed = checkpoint.config.get("image_size")
    if isinstance(fixed, int):
        return fixed, fixed
    if isinstance(fixed, list | tuple):
        return int(fixed[0]), int(fixed[1])
    return max(height, SMALLEST_PICTURE), max(width, SMALLEST_PICTURE)


def normalisation(checkpoint: Checkpoint) -> dict[str, list[float]]:
    """Return `mean` and `deviation` by channel that the checkpoint was trained with; empty when it doesn't say."""
    said = checkpoint.preprocessing
    if not said.get("do_normalize", True) or not said.get("image_mean"):
        return {}
    return {"mean": list(said["image_mean"]), "deviation": list(said["image_std"])}


def _possible(checkpoint: Checkpoint) -> tuple[str, ...]:
    return next((tasks for suffix, tasks in ROLES.items() if checkpoint.architecture.endswith(suffix)), ())


def _why_not_pictures(checkpoint: Checkpoint, data: DataCard) -> list[str]:
    channels = _layers.image_shape(data)[0]
    wanted = int(checkpoint.config.get("num_channels", channels))
    if channels not in (1, wanted):
        return [f"the model takes {wanted} channel(s), {data.name} has {channels}"]
    return []


def _why_not_text(checkpoint: Checkpoint, data: DataCard, task: str) -> list[str]:
    names = {spec.name: spec for spec in data.inputs}
    if "tokens" not in names:
        return [f"the model takes tokens (batch, length), {data.name} has {', '.join(names)}"]
    reasons, is_lm = [], task == "language-modelling"
    length = int(names["tokens"].shape[1])
    longest: Any = min((checkpoint.config[key] for key in LENGTH_KEYS if checkpoint.config.get(key)), default=length)
    if length > longest:
        reasons.append(f"the model reads at most {longest} tokens, {data.name} has sequences of {length}")
    num_tokens = max(data.tokens.vocabulary if data.tokens else 0, data.num_classes if is_lm else 0)
    if num_tokens > vocabulary(checkpoint) > 0:
        reasons.append(f"the model knows {vocabulary(checkpoint)} tokens, {data.name} has {num_tokens}")
    if not is_lm:
        return reasons
    if checkpoint.config.get("is_encoder_decoder") and "decoder_input_ids" not in names:
        reasons.append(
            f"an encoder-decoder needs an input called decoder_input_ids; {data.name} has {', '.join(names)}"
        )
    return reasons
