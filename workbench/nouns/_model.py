"""What is known of a model without its weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

Task = Literal[
    "image-classification", "text-classification", "table-classification", "language-modelling", "unlabelled"
]


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype and shape of one input or output; a string in `shape` is a free size ("batch")."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Layer:
    """One weighted layer of a model, named as in the module tree."""

    name: str
    kind: Literal["linear", "conv", "embedding", "norm", "other"]
    weight_shape: tuple[int, ...]  # as stored
    num_params: int  # weight and bias
    macs: int | None = None  # multiply-accumulates for one example; None = not known before a run
    density: float = 1.0  # share of weights that are not zero
    zeros_together: int = 1  # neighbouring weights that are zero or not as one
    precision: str = "float32"
    packed_bytes: int = 0  # of weights stored in groups of a few bits, with scales and zero points; 0 = not packed
    head_width: int = 0  # of a projection of attention: outputs (of the last one: inputs) of one head; 0 = none
    prunable: bool = True  # steps leave biases, norms, embeddings (and what a model excepts) alone

    @property
    def num_weights(self) -> int:
        size = 1
        for extent in self.weight_shape:
            size *= extent
        return size


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model without its weights: enough to say no, to estimate and to draw a form."""

    name: str
    task: Task
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    layers: tuple[Layer, ...]
    num_params: int
    precision: str = "float32"  # float32 | bfloat16 | int8 dynamic | int8 static | codebook | "int4 weights, group 32"
    licence: str = ""
    source: str = ""
    library: str = "torch"  # "transformers" when save_pretrained applies
    structure: Literal["original", "reshaped"] = "original"  # reshaped: no longer what its config builds
    pretrained: bool = False  # comes with weights that are worth something before any training
    kv_numbers: int = 0  # keys and values that a decoder keeps of each token; 0 = it is none, or this isn't known
    kv_precision: str = "float"  # what they are kept in: float (as computed) | int8 | int4
    notes: tuple[str, ...] = ()

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates per example over all layers; None if any layer's are unknown."""
        if any(layer.macs is None for layer in self.layers):
            return None
        return sum(layer.macs or 0 for layer in self.layers)

    def with_layers(self, layers: tuple[Layer, ...], **changes: Any) -> ModelCard:
        """Return this card with other layers, `num_params` following them."""
        moved = sum(layer.num_params for layer in layers) - sum(layer.num_params for layer in self.layers)
        return replace(self, layers=layers, num_params=self.num_params + moved, **changes)
