"""A person's own data: any Python function that returns arrays."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, Literal

from workbench import reference
from workbench.data import _own_arrays, _splits
from workbench.nouns import DataCard, Examples, Splits, TensorSpec
from workbench.params import param
from workbench.part import Data


class PythonDataset(Data):
    """The function returns `(inputs, targets)`, split here by seed, or `{"train": (inputs, targets), "test": …}`.

    `inputs` is an array, or a dict of arrays by input name. An array of images (N, C, H, W) is called pixels, one of whole
    numbers (N, T) tokens. Language models may leave `targets` out: then each next token is one.
    """

    title = "Your own function"
    source = "your own code"

    function: str = param(..., help="module:function or path/file.py:function")
    task: Literal[
        "image-classification", "text-classification", "table-classification", "language-modelling", "unlabelled"
    ] = param("image-classification", help="What the data are for")  # fmt: skip
    options: dict[str, Any] = param({}, help="Keyword arguments for the function")
    labels: list[str] = param([], help="Names of the classes, in the order of their numbers; empty = 0, 1, 2 …")
    num_classes: int | None = param(
        None, help="Classes, or vocabulary size; none = one more than the largest target", ge=1, le=10_000_000
    )
    split_seed: int = param(0, help="Seed of the split", ge=0, le=2**31 - 1)

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        """Write a function that makes 100 tiny images, half of them bright."""
        (folder / "own_data.py").write_text(
            "import numpy\n\n\ndef tiny():\n    random = numpy.random.default_rng(0)\n    targets = numpy.arange(100) % 2\n"
            "    return random.random((100, 1, 8, 8)) + targets[:, None, None, None], targets\n"
        )
        return {"function": f"{folder / 'own_data.py'}:tiny"}

    def card(self) -> DataCard:
        parts = self._parts()
        first = next(iter(parts.values()))
        num_classes = self._num_classes(parts)
        return DataCard(
            name=self.name(),
            task=self.task,
            inputs=tuple(
                TensorSpec(name, str(array.dtype), ("batch", *array.shape[1:])) for name, array in first.inputs.items()
            ),
            num_classes=num_classes,
            labels=tuple(self.labels) or tuple(map(str, range(num_classes if "classification" in self.task else 0))),
            num_examples=_splits.planned({part: len(examples) for part, examples in parts.items()}),
            licence="unknown: your own data",
            source=self.function,
        )

    def load(self) -> Splits:
        import numpy as np

        parts = self._parts()
        if "" not in parts:
            return _splits.from_given(parts, seed=self.split_seed)
        examples = parts[""]
        classes = examples.targets if examples.targets.ndim == 1 else np.zeros(len(examples), np.int64)
        index = _splits.stratified(classes, _splits.sizes(len(examples)), seed=self.split_seed)
        return _splits.by_index(examples, index)

    def source_files(self) -> list[Path]:
        """Return the person's files that decide what `load` returns."""
        return reference.source_files(self.function)

    def _parts(self) -> dict[str, Examples]:
        content = tuple((str(path), path.read_bytes()) for path in self.source_files())
        return _called(self.function, json.dumps(self.options, sort_keys=True), self.task, content)

    def _num_classes(self, parts: dict[str, Examples]) -> int:
        """Return the stated or found number of classes; raises InvalidInput when the targets don't fit it."""
        stated = self.num_classes or len(self.labels) or None
        if self.task == "unlabelled":
            return stated or 0
        return _own_arrays.num_classes(parts, stated, labels=self.labels)


@functools.lru_cache(maxsize=2)
def _called(function: str, options: str, task: str, content: tuple[tuple[str, bytes], ...]) -> dict[str, Examples]:
    """Call the person's function once per content of its files."""
    return _own_arrays.checked(reference.load(function), json.loads(options), function, task)
