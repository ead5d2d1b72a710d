"""Loads a checkpoint through transformers' Auto classes."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers

from workbench.errors import WorkbenchError
from workbench.nouns import DataCard
from workbench.zoo import _checkpoint_fit, _layers
from workbench.zoo._checkpoint import Checkpoint
from workbench.zoo._wrapped import NO_PADDING, TRANSFORMERS_NAMES, FitImages, Wrapped

AUTO = {
    "image-classification": "AutoModelForImageClassification",
    "text-classification": "AutoModelForSequenceClassification",
    "language-modelling": "AutoModelForCausalLM",
}
MAX_NEW_SHARE = 0.5  # of all weights that may be missing in the file


def load(checkpoint: Checkpoint, folder: Path, data: DataCard) -> Wrapped:
    """Return the float32 model with the data's input names; raises WorkbenchError when it does not fit its weights."""
    role = _checkpoint_fit.role(checkpoint, data)
    auto = "AutoModelForSeq2SeqLM" if role == "language-modelling" and _is_encoder_decoder(checkpoint) else AUTO[role]
    options = _classes(data)
    if _is_encoder_decoder(checkpoint):
        options["attn_implementation"] = "eager"  # sdpa of masked cross-attention does not reach ONNX
    inner = _load(checkpoint, folder, auto, options)
    if role != "image-classification":
        _one_pass(inner.config.get_text_config(), role, data)
    names = [spec.name for spec in data.inputs]
    _check_names(inner, names)
    return Wrapped(inner, names, renamed=TRANSFORMERS_NAMES, fit=_fit(checkpoint, data))


def _load(checkpoint: Checkpoint, folder: Path, auto: str, options: dict[str, Any]) -> Any:
    try:
        with _hushed():
            inner, told = getattr(transformers, auto).from_pretrained(
                folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32,
                output_loading_info=True, **options,
            )  # fmt: skip
    except (ValueError, OSError, RuntimeError, KeyError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise WorkbenchError(
            f"transformers can't load {checkpoint.source} with {auto}: {first_line}",
            next_move="code that a checkpoint brings along is never run; use an architecture that transformers has",
        ) from error
    sizes = {name: parameter.numel() for name, parameter in inner.named_parameters()}
    new = sum(sizes.get(name, 0) for name in told["missing_keys"])
    if new > MAX_NEW_SHARE * sum(sizes.values()):
        raise WorkbenchError(
            f"{checkpoint.source} lacks most weights of {type(inner).__name__}, for instance {min(told['missing_keys'])}",
            next_move="look whether config.json and the safetensors files belong together",
        )
    return inner


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Keep transformers' progress bar and its remarks on new heads away: the card says the same."""
    said, bar = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(said)
        if bar:
            transformers.logging.enable_progress_bar()


def _classes(data: DataCard) -> dict[str, Any]:
    """Return arguments that give a classifier as many classes as the data has."""
    if not data.task.endswith("classification"):
        return {}
    labels = data.labels or tuple(map(str, range(data.num_classes)))
    return {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
        "ignore_mismatched_sizes": True,
    }


def _one_pass(config: Any, role: str, data: DataCard) -> None:
    """Let a text model answer whole texts at once, no cache between calls; classifiers that read from left to right look at
    the last token that is no padding, or at the very last one where nothing tells padding.
    """
    config.use_cache = False
    if role != "text-classification":
        return
    if data.tokens and data.tokens.padding is not None:
        config.pad_token_id = data.tokens.padding
    elif getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = NO_PADDING


def _check_names(inner: Any, names: list[str]) -> None:
    taken = inspect.signature(inner.forward).parameters
    unknown = [name for name in names if TRANSFORMERS_NAMES.get(name, name) not in taken]
    if unknown:
        raise WorkbenchError(
            f"{type(inner).__name__} takes no input called {', '.join(unknown)}; it takes {', '.join(list(taken)[:6])} …",
            next_move="rename the data's inputs",
        )


def _fit(checkpoint: Checkpoint, data: DataCard) -> FitImages | None:
    """Return what brings the data's pictures into the checkpoint's form; None when they are in it already."""
    seen = _checkpoint_fit.seen_size(checkpoint, data)
    if seen is None:
        return None
    channels, *size = _layers.image_shape(data)
    wanted = int(checkpoint.config.get("num_channels", channels))
    told: dict[str, Any] = dict(_checkpoint_fit.normalisation(checkpoint))
    if list(seen) != size:
        told["size"] = seen
    if channels != wanted:
        told["channels"] = wanted
    return FitImages(**told) if told else None


def _is_encoder_decoder(checkpoint: Checkpoint) -> bool:
    return bool(checkpoint.config.get("is_encoder_decoder"))
