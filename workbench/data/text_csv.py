"""A person's own texts to classify: one CSV file with a column of texts and one of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench import tokenizer
from workbench.data import _csv_file
from workbench.errors import InvalidInput
from workbench.nouns import DataCard, Examples, Splits, TensorSpec, Tokens
from workbench.params import param
from workbench.part import Data

PADDING = 0  # of bytes


class TextCsv(Data):
    """Texts become tokens of a checkpoint's own tokenizer, with an attention mask; or their UTF-8 bytes, filled up with zeros."""

    title = "Texts in a CSV file"
    source = "your own file"

    path: str = param(..., help="The .csv file, UTF-8, with a line of column names")
    text: str = param("text", help="Column of the texts")
    label: str = param("label", help="Column of the classes")
    length: int = param(128, help="Tokens that are read of a text; the rest is cut off", unit="tokens", ge=4, le=4096)
    split_column: str = param("", help="Column that says train, validation, calibration or test; empty = split by seed")
    split_seed: int = param(0, help="Seed of the split", ge=0, le=2**31 - 1)
    tokenizer: str = param("", help="Folder of a checkpoint whose tokenizer reads the texts; empty = their bytes")

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
            inputs=tuple(TensorSpec(name, "int64", ("batch", self.length)) for name in self._input_names()),
            num_classes=len(labels),
            labels=labels,
            num_examples=_csv_file.planned(table, self.split_column),
            licence="unknown: your own file",
            source=self.path,
            tokens=self._tokens(),
        )

    def load(self) -> Splits:
        import numpy as np

        table = _csv_file.read(self.path)
        texts = _csv_file.column(table, self.text, "text")
        if empty := [row + 2 for row, text in enumerate(texts) if not text]:
            raise InvalidInput([f"{self.path}: line {empty[0]} has no text ({len(empty)} such lines)"])
        read = tokenizer.read(self.tokenizer).encode_all(texts) if self.tokenizer else [text.encode() for text in texts]
        tokens = np.full((len(texts), self.length), self._tokens().padding or PADDING, np.int64)
        mask = np.zeros_like(tokens)
        for row, numbers in enumerate(read):
            kept = list(numbers[: self.length])
            tokens[row, : len(kept)], mask[row, : len(kept)] = kept, 1
        inputs = dict(zip(self._input_names(), (tokens, mask)))
        examples = Examples(inputs, _csv_file.targets_of(table, self.label))
        return _csv_file.split(examples, _csv_file.parts_of(table, self.split_column), seed=self.split_seed)

    def _input_names(self) -> tuple[str, ...]:
        return ("tokens", "attention_mask") if self.tokenizer else ("tokens",)

    def _tokens(self) -> Tokens:
        return tokenizer.tokens(self.tokenizer, padded=True)
