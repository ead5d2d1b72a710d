"""A person's own table: one CSV file whose columns are numbers or words, one of them the class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.data import _csv_file, _table_columns
from workbench.errors import InvalidInput
from workbench.nouns import DataCard, Examples, Splits, TensorSpec
from workbench.params import param
from workbench.part import Data

if TYPE_CHECKING:
    import pandas as pd


class TableCsv(Data):
    """Numbers are scaled to mean 0 and deviation 1 of the train part alone; a column of words becomes one 0/1 column a word.

    An empty cell is the mean (a number) or no word at all.
    """

    title = "Table in a CSV file"
    source = "your own file"

    path: str = param(..., help="The .csv file, UTF-8, with a line of column names")
    label: str = param("label", help="Column of the classes")
    ignored: list[str] = param([], help="Columns to leave out, such as an identifier")
    split_column: str = param("", help="Column that says train, validation, calibration or test; empty = split by seed")
    split_seed: int = param(0, help="Seed of the split", ge=0, le=2**31 - 1)

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        """Write 60 rows of two numbers and a word; the class follows from the first number."""
        rows = [
            f"{n % 10},{(n * 7) % 13},{'red' if n % 3 else 'blue'},{'high' if n % 10 > 4 else 'low'}" for n in range(60)
        ]
        (folder / "table.csv").write_text("size,weight,colour,label\n" + "\n".join(rows), encoding="utf-8")
        return {"path": str(folder / "table.csv")}

    def card(self) -> DataCard:
        table = _csv_file.read(self.path)
        labels = _csv_file.labels_of(_csv_file.column(table, self.label, "label"))
        features = _table_columns.features(self._features(table))
        return DataCard(
            name=self.name(),
            task="table-classification",
            inputs=(TensorSpec("features", "float32", ("batch", len(features))),),
            num_classes=len(labels),
            labels=labels,
            num_examples=_csv_file.planned(table, self.split_column),
            licence="unknown: your own file",
            source=self.path,
        )

    def load(self) -> Splits:

        table = _csv_file.read(self.path)
        targets = _csv_file.targets_of(table, self.label)
        parts = _csv_file.parts_of(table, self.split_column)
        index = _csv_file.planned_index(targets, seed=self.split_seed) if "" in parts else parts
        values = _table_columns.values(self._features(table), fitted_on=index["train"])
        return _csv_file.split(Examples({"features": values}, targets), parts, seed=self.split_seed)

    def _features(self, table: pd.DataFrame) -> pd.DataFrame:
        for name in self.ignored:
            _csv_file.column(table, name, "ignored")
        left = table.drop(columns=[self.label, self.split_column, *self.ignored], errors="ignore")
        if not len(left.columns):
            raise InvalidInput([f"{self.path}: no column is left beside the label"])
        return left
