"""The layers of a ResNet in transformers' form, from its configuration alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.nouns import Layer
from workbench.zoo import _layers


def layers(config: Mapping[str, Any], *, channels: int, size: tuple[int, int], num_classes: int) -> tuple[Layer, ...]:
    """Return all layers for pictures of `size`; `config` has the names of transformers' ResNetConfig."""
    height, width = (_halved(extent) for extent in size)
    name, before = "inner.resnet.embedder.embedder", config["embedding_size"]
    found = _unit(name, channels, before, kernel=7, positions=height * width)
    height, width = _halved(height), _halved(width)  # the stem's pooling
    for stage, (after, num_blocks) in enumerate(zip(config["hidden_sizes"], config["depths"])):
        incoming = height * width
        halves = stage > 0 or bool(config.get("downsample_in_first_stage"))
        if halves:
            height, width = _halved(height), _halved(width)
        for block in range(num_blocks):
            name = f"inner.resnet.encoder.stages.{stage}.layers.{block}"
            outgoing = height * width
            if before != after or (halves and block == 0):
                found += _unit(f"{name}.shortcut", before, after, kernel=1, positions=outgoing)
            found += _path(config, name, before, after, incoming=incoming, outgoing=outgoing)
            before, incoming = after, outgoing
    return (*found, _layers.linear("inner.classifier.1", before, num_classes))


def _path(
    config: Mapping[str, Any], name: str, before: int, after: int, *, incoming: int, outgoing: int
) -> list[Layer]:
    """Return the convolutions of one residual block; `incoming` and `outgoing` are positions of its two maps."""
    if config["layer_type"] == "basic":
        first = _unit(f"{name}.layer.0", before, after, kernel=3, positions=outgoing)
        return first + _unit(f"{name}.layer.1", after, after, kernel=3, positions=outgoing)
    narrow = after // 4
    early = outgoing if config.get("downsample_in_bottleneck") else incoming
    return [
        *_unit(f"{name}.layer.0", before, narrow, kernel=1, positions=early),
        *_unit(f"{name}.layer.1", narrow, narrow, kernel=3, positions=outgoing),
        *_unit(f"{name}.layer.2", narrow, after, kernel=1, positions=outgoing),
    ]


def _unit(name: str, before: int, after: int, *, kernel: int, positions: int) -> list[Layer]:
    """A convolution and its normalisation."""
    return [
        _layers.conv(f"{name}.convolution", before, after, kernel=kernel, positions=positions, bias=False),
        _layers.norm(f"{name}.normalization", after),
    ]


def _halved(extent: int) -> int:
    """The extent of a map after a padded stride of two."""
    return (extent + 1) // 2
