"""A person's own model: any Python function that returns an nn.Module."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import reference
from workbench.errors import InvalidInput, WorkbenchError
from workbench.nouns import DataCard, ModelCard
from workbench.params import param
from workbench.part import Model

if TYPE_CHECKING:
    from torch import nn

SAMPLE = '''"""A model for tests: one linear layer on pixels, or on the vectors of tokens."""
import math

from torch import nn


class Tiny(nn.Module):
    def __init__(self, data):
        super().__init__()
        shape, self.averaged = data.inputs[0].shape[1:], data.task == "text-classification"
        self.embedding = nn.Embedding(256, 32) if data.inputs[0].dtype == "int64" else None
        self.head = nn.Linear(32 if self.embedding else math.prod(shape), max(1, data.num_classes))

    def forward(self, inputs):
        hidden = self.embedding(inputs) if self.embedding else inputs.flatten(1)
        return self.head(hidden.mean(1) if self.averaged else hidden)
'''


class PythonCallable(Model):
    """The function gets `options`, and the DataCard when it has a parameter called `data`.

    The module's `forward` takes the inputs in the order of the data's card and returns logits; it sits in `inner`.
    """

    title = "Your own model"
    source = "your own code"
    licence = "unknown: your own code"
    tasks = ("image-classification", "text-classification", "table-classification", "language-modelling", "unlabelled")
    card_needs_module = True

    function: str = param(..., help="module:function or path/file.py:function; the function returns an nn.Module")
    options: dict[str, Any] = param({}, help="Keyword arguments for the function")
    trained: bool = param(False, help="The function returns trained weights, worth measuring as they come")

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        """Write a tiny model that fits any data."""
        (folder / "own_model.py").write_text(SAMPLE)
        return {"function": f"{folder / 'own_model.py'}:Tiny"}

    @property
    def pretrained(self) -> bool:  # type: ignore[override]
        return self.trained

    def why_not(self, data: DataCard) -> list[str]:
        return super().why_not(data) + reference.problems(self.function)

    def card(self, data: DataCard) -> ModelCard:
        """Return the card of the built module: this imports torch."""
        from workbench.zoo._describe import card_of

        facts = {"licence": self.licence, "source": self.function, "pretrained": self.trained}
        return card_of(self.build(data), data, name=self.name(), **facts)

    def build(self, data: DataCard) -> nn.Module:
        from torch import nn

        from workbench.zoo._wrapped import Wrapped

        function = reference.load(self.function)
        named = dict(self.options)
        try:
            if "data" in inspect.signature(function).parameters:
                named.setdefault("data", data)
            module = function(**named)
        except TypeError as error:
            raise InvalidInput([f"{self.function} can't be called with {sorted(named)}: {error}"]) from error
        if not isinstance(module, nn.Module):
            raise WorkbenchError(
                f"{self.function} returned {type(module).__name__}", next_move="return a torch.nn.Module"
            )
        return Wrapped(module.float(), [spec.name for spec in data.inputs], reference=self.function)

    def source_files(self) -> list[Path]:
        return reference.source_files(self.function)
