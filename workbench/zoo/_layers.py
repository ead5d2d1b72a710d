"""Writes the layers of a card down without building the model."""

from __future__ import annotations

from workbench.nouns import DataCard, Layer, TensorSpec
from workbench.part import Model


def linear(
    name: str, num_inputs: int, num_outputs: int, *, positions: int = 1, bias: bool = True, head_width: int = 0
) -> Layer:
    """A fully connected layer applied at `positions` places of one example."""
    num_params, macs = num_outputs * (num_inputs + bias), positions * num_inputs * num_outputs
    return Layer(name, "linear", (num_outputs, num_inputs), num_params, macs=macs, head_width=head_width)


def conv(
    name: str, num_inputs: int, num_outputs: int, *, kernel: int, positions: int, bias: bool = True, groups: int = 1
) -> Layer:
    """A square 2-d convolution that gives `positions` = height × width outputs per channel."""
    shape = (num_outputs, num_inputs // groups, kernel, kernel)
    num_weights = num_outputs * (num_inputs // groups) * kernel * kernel
    return Layer(name, "conv", shape, num_weights + num_outputs * bias, macs=positions * num_weights)


def norm(name: str, width: int, *, bias: bool = True) -> Layer:
    """A batch, layer or RMS normalisation; its parameters are never pruned or quantized."""
    return Layer(name, "norm", (width,), width * (1 + bias), macs=0, prunable=False)


def embedding(name: str, num_rows: int, width: int) -> Layer:
    return Layer(name, "embedding", (num_rows, width), num_rows * width, macs=0, prunable=False)


def count(layers: tuple[Layer, ...]) -> int:
    return sum(layer.num_params for layer in layers)


def logits(data: DataCard) -> tuple[TensorSpec, ...]:
    """The output of a classifier on `data`."""
    return (TensorSpec("logits", "float32", ("batch", data.num_classes)),)


def not_images(model: Model, data: DataCard) -> list[str]:
    """Return reasons why a model that takes one input of pictures can't take `data`."""
    reasons = Model.why_not(model, data)
    shapes = {spec.name: spec.shape for spec in data.inputs}
    if not reasons and (list(shapes) != ["pixels"] or len(shapes["pixels"]) != 4):
        reasons.append(
            f"{model.name()} takes one input, pixels (batch, channels, height, width); {data.name} has {shapes}"
        )
    return reasons


def image_shape(data: DataCard) -> tuple[int, int, int]:
    """Return (channels, height, width) of the images in `data`."""
    _, channels, height, width = data.inputs[0].shape
    return int(channels), int(height), int(width)
