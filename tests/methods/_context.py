"""A step's context on drawn data, small enough that a test takes a moment."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from workbench.context import StepContext
from workbench.nouns import DataCard, Examples, Layer, ModelCard, Splits, TensorSpec
from workbench.spread import IGNORED_TARGET


class Quiet:
    """Takes what is said and keeps it."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str = "", **progress: Any) -> None:
        if not progress:
            self.lines.append(text)

    def cancelled(self) -> bool:
        return False


def context(splits: Splits | None = None, *, num_classes: int = 3, load: Any = None, build: Any = None) -> StepContext:
    splits = splits or vectors()
    inputs = tuple(
        TensorSpec(name, str(array.dtype), ("batch", *array.shape[1:])) for name, array in splits.train.inputs.items()
    )
    card = DataCard("drawn", "image-classification", inputs, num_classes, synthetic=True)
    return StepContext(splits, card, 0, Quiet(), load_model=load, build_model=build)  # type: ignore[arg-type]


def vectors(*, width: int = 8, num_classes: int = 3, sizes: tuple[int, int, int, int] = (48, 24, 20, 24)) -> Splits:
    """Points around one centre per class, input name `pixels`, shape (N, width)."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(num_classes, width))
    parts = []
    for size in sizes:
        targets = random.integers(0, num_classes, size)
        points = centres[targets] + random.normal(scale=0.8, size=(size, width))
        parts.append(Examples({"pixels": points.astype(np.float32)}, targets.astype(np.int64)))
    return Splits(*parts)


def images(channels: int = 1, extent: int = 8, *, num_classes: int = 3, size: int = 24) -> Splits:
    random = np.random.default_rng(0)
    parts = [
        Examples(
            {"pixels": random.random((size, channels, extent, extent), dtype=np.float32)},
            random.integers(0, num_classes, size).astype(np.int64),
        )
        for _ in range(4)
    ]
    return Splits(*parts)


def token_rows(*, length: int = 6, vocabulary: int = 32, size: int = 12) -> Splits:
    """Next-token rows, the last target ignored, as a language model's data."""
    random = np.random.default_rng(0)
    parts = []
    for _ in range(4):
        tokens = random.integers(0, vocabulary, (size, length)).astype(np.int64)
        targets = np.concatenate([tokens[:, 1:], np.full((size, 1), IGNORED_TARGET)], axis=1)
        parts.append(Examples({"tokens": tokens}, targets))
    return Splits(*parts)


class Perceptron(torch.nn.Module):
    """Linear layers fc1, fc2, fc3 with ReLU between: (N, 8) → (N, 3)."""

    def __init__(self, widths: tuple[int, int, int, int] = (8, 16, 16, 3)) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3 = (torch.nn.Linear(widths[i], widths[i + 1]) for i in range(3))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.fc3(self.fc2(self.fc1(pixels.flatten(1)).relu()).relu())


def perceptron(seed: int = 0, **options: Any) -> Perceptron:
    torch.manual_seed(seed)
    return Perceptron(**options).eval()


def card_of(model: torch.nn.Module, splits: Splits | None = None, **changes: Any) -> ModelCard:
    """Return a card with the model's linear, convolution, norm and embedding layers."""
    kinds = {torch.nn.Linear: "linear", torch.nn.Conv2d: "conv", torch.nn.Embedding: "embedding"}
    kinds |= {torch.nn.BatchNorm2d: "norm", torch.nn.LayerNorm: "norm"}
    layers = tuple(
        Layer(
            name,
            kinds[type(module)],
            tuple(module.weight.shape),
            sum(p.numel() for p in module.parameters()),  # type: ignore[arg-type]
            macs=module.weight.numel(),
            prunable=kinds[type(module)] in ("linear", "conv"),
        )  # fmt: skip
        for name, module in model.named_modules()
        if type(module) in kinds
    )
    inputs = context(splits).data_card.inputs
    outputs = (TensorSpec("logits", "float32", ("batch", 3)),)
    facts: dict[str, Any] = {"name": "drawn", "task": "image-classification", **changes}
    return ModelCard(
        inputs=inputs, outputs=outputs, layers=layers, num_params=sum(x.num_params for x in layers), **facts
    )


def num_params(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
