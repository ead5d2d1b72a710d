"""A trained network, the same one with channels scaled very differently, and what their files answer."""

from __future__ import annotations

import copy
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.methods._context import Quiet
from workbench import catalog
from workbench.compress import _flow
from workbench.context import SavingContext, StepContext, predict
from workbench.nouns import DataCard, Quantization, Splits, StoredWeight
from workbench.part import Data, Format, Model, Step
from workbench.train import fit, prunable

SKEW = 2.0**4  # largest factor of a channel


@cache
def digits() -> tuple[Splits, DataCard]:
    data = catalog.make("data", "digits")
    assert isinstance(data, Data)
    return data.load(), data.card()


@cache
def _trained() -> torch.nn.Module:
    splits, card = digits()
    torch.manual_seed(0)
    model = catalog.make("zoo", {"use": "small_cnn", "width": 8, "blocks": 2})
    assert isinstance(model, Model)
    network = model.build(card)
    fit(network, splits.train, epochs=12, batch_size=32, learning_rate=1e-2, seed=0, say=lambda *_, **__: None)
    return network


@cache
def _skewed() -> torch.nn.Module:
    network, (splits, _) = even(), digits()
    random = torch.Generator().manual_seed(0)
    for feed in _flow.feeds(network, splits.calibration, [name for name, _ in prunable(network)]):
        channels = network.get_submodule(feed.source).get_parameter("weight").shape[0]
        _flow.move(network, feed, SKEW ** (2 * torch.rand(channels, generator=random) - 1))
    return network


def even() -> torch.nn.Module:
    return copy.deepcopy(_trained())


def skewed() -> torch.nn.Module:
    """Return a copy: it answers like the trained network, and one scale for all of a layer's weights fits it badly."""
    return copy.deepcopy(_skewed())


def stepped(*steps: Step, on: Any = skewed) -> tuple[torch.nn.Module, dict[str, Quantization]]:
    """Return what the steps make of the network, and their records."""
    splits, card = digits()
    ctx = StepContext(splits, card, 0, Quiet(), load_model=None, build_model=None)  # type: ignore[arg-type]
    model = on()
    for step in steps:
        model = step.run(model, ctx)
    return model.eval(), ctx.quantization


def filed(
    model: torch.nn.Module, quantization: dict[str, Quantization], format_name: str = "onnx"
) -> tuple[np.ndarray, dict[str, StoredWeight], dict[str, Any]]:
    """Return the outputs on the test split, the stored weights and the card's precision of a saved file."""
    splits, _ = digits()
    made = catalog.make("formats", format_name)
    assert isinstance(made, Format)
    example = {name: array[:4].copy() for name, array in splits.calibration.inputs.items()}
    with tempfile.TemporaryDirectory() as place:
        ctx = SavingContext(None, example, splits.calibration, quantization, 0)  # type: ignore[arg-type]
        precision = made.save(model, Path(place), ctx)
        return predict(made.open(Path(place)), splits.test), made.stored(Path(place)), precision


def accuracy(outputs: np.ndarray) -> float:
    return float((outputs.argmax(1) == digits()[0].test.targets).mean())


def in_torch(model: torch.nn.Module) -> np.ndarray:
    with torch.no_grad():
        return model.eval()(torch.from_numpy(digits()[0].test.inputs["pixels"])).numpy()
