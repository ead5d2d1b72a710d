"""A person's own texts to classify: one CSV file with a column of texts and one of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.data import _csv_file
from workbench.errors import InvalidInput
from workbench.nouns import DataCard, Examples, Splits, TensorSpec
from workbench.params import param
from workbench.part import Data

PADDING = 0


class TextCsv(Data):
    """Texts become their UTF-8 bytes, cut at `length` and filled up with zeros: 256 tokens, no vocabulary to keep."""

    title = "Texts in a CSV file"
    source = "your own file"

    path: str = param(..., help="The .csv file, UTF-8, with a line of column names")
    text: str = param("text", help="Column of the texts")
    label: str = param("label", help="Column of the classes")
    length: int = param(128, help="Bytes that are read of a text", unit="bytes", ge=4, le=4096)
    split_column: str = param("", help="Column that says train, validation, calibration or test; empty = split by seed")
    split_seed: int = param(0, help="Seed of the split", ge=0, le=2**31 - 1)

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        """Write 60 lines, half of them questions."""
        lines = [f'"what is {n} times {n}?",question' if n % 2 else f'"{n} is a number.",statement' for n in range(60)]
        (folder / "texts.csv").write_text("text,label\n" + "\n".join(lines), encoding="utf-8")
        return {"path": str(folder / "texts.csv"), "length": 24}

    def card(self) -> DataCard:
        table = _csv_file.read(self.path)
        labels = _csv_file.labels_of(_csv_file.column(table, self.label, "label"))
        _csv_file.column(table, self.text, "text")
        return DataCard(
            name=self.name(),
            task="text-classification",
            inputs=(TensorSpec("tokens", "int64", ("batch", self.length)),),
            num_classes=len(labels),
            labels=labels,
            num_examples=_csv_file.planned(table, self.split_column),
            licence="unknown: your own file",
            source=self.path,
        )

    def load(self) -> Splits:
        import numpy as np

        table = _csv_file.read(self.path)
        texts = [text.encode() for text in _csv_file.column(table, self.text, "text")]
        if empty := [row + 2 for row, text in enumerate(texts) if not text]:
            raise InvalidInput([f"{self.path}: line {empty[0]} has no text ({len(empty)} such lines)"])
        tokens = np.full((len(texts), self.length), PADDING, np.int64)
        for row, text in enumerate(texts):
            kept = np.frombuffer(text[: self.length], np.uint8)
            tokens[row, : len(kept)] = kept
        examples = Examples({"tokens": tokens}, _csv_file.targets_of(table, self.label))
        return _csv_file.split(examples, _csv_file.parts_of(table, self.split_column), seed=self.split_seed)
