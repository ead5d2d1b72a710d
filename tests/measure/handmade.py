"""A measuring context without a run: functions meant for fresh processes are called right here."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from workbench.nouns import Artifact, DataCard, Examples, Splits, TensorSpec

NUM_EXAMPLES, NUM_CLASSES = 60, 4


def card(task: Any = "image-classification") -> DataCard:
    return DataCard("made", task, (TensorSpec("pixels", "float32", ("batch", 3)),), NUM_CLASSES)


class HandmadeContext:
    """`models` maps an artifact's name to a function pixels → logits; the first is ours, a second one its parent."""

    def __init__(self, folder: Path, models: dict[str, Any], *, targets: np.ndarray | None = None) -> None:
        pixels = np.random.default_rng(0).normal(size=(NUM_EXAMPLES, 3)).astype(np.float32)
        targets = np.zeros(NUM_EXAMPLES, np.int64) if targets is None else targets
        examples = Examples({"pixels": pixels}, targets)
        self.data, self.data_card = Splits(examples, examples, examples, examples), card()
        self.folder, self.seed, self.models = folder, 0, models
        self.artifact, *others = (self._artifact(name) for name in models)
        self.parent, self.reference = (others[0] if others else None), None
        self.said: list[str] = []
        self.fresh_calls = 0
        np.savez(Path(self.artifact.folder) / "probe.npz", input_pixels=pixels[:2], output=np.zeros((2, NUM_CLASSES)))

    def _artifact(self, name: str) -> Artifact:
        (self.folder / name).mkdir(parents=True)
        return Artifact(str(self.folder / name), {"format": "made", "files": {}})

    def open(self, artifact: Artifact, *, threads: int = 1) -> Any:
        model = self.models[Path(artifact.folder).name]
        return lambda inputs: {"logits": model(inputs["pixels"])}

    def fresh(self, function: str, artifacts: list[Artifact], *, threads: int = 1, **options: Any) -> Any:
        self.fresh_calls += 1
        module, _, name = function.partition(":")
        sessions = [lambda artifact=artifact: self.open(artifact) for artifact in artifacts]
        return getattr(importlib.import_module(module), name)(sessions, **options)

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[dict[str, Any]]:
        told: dict[str, Any] = {"measured_alone": True}
        yield told
        told["load1"] = 0.5

    def predictions(self, split: str) -> np.ndarray:
        return self.open(self.artifact)(getattr(self.data, split).inputs)["logits"]

    def keep(self, file: str, **arrays: Any) -> str:
        path = self.folder / "samples" / file
        path.parent.mkdir(exist_ok=True)
        assert not path.exists()
        np.savez(path, **arrays)
        return f"samples/{file}"

    def say(self, text: str = "", **_: Any) -> None:
        self.said.append(text)


def kept(ctx: HandmadeContext, file: str) -> dict[str, np.ndarray]:
    with np.load(ctx.folder / file) as arrays:
        return dict(arrays)
