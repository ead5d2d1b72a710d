"""A button that saves rows as CSV beside the store, and says where; a small file can be downloaded from the page, too."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets

from widgets import _words
from widgets._aside import aside
from workbench import table
from workbench.store import disk_errors

if TYPE_CHECKING:
    from widgets.pump import Pump

LINK_BYTES = 200_000  # a larger file is shown by its path alone


class SaveCsv:
    """`rows` says what to save when somebody asks, `root` beside which folder."""

    def __init__(self, pump: Pump, rows: Callable[[], list[table.Row]], root: Callable[[], Path]) -> None:
        self.pump, self.rows, self.root = pump, rows, root
        self.button = ipywidgets.Button(
            description="CSV", icon="download", tooltip="Save what is listed beside the store"
        )
        self.button.on_click(lambda _: pump.do(self._save))
        self.told = ipywidgets.HTML()

    def _save(self) -> None:
        rows, root = self.rows(), self.root()
        path = root.parent / f"{root.name}-{time.strftime('%Y%m%d-%H%M%S')}.csv"
        self.told.value = _words.waiting(f"writing {path} …")

        def write() -> str:
            with disk_errors(path):
                return table.to_csv(rows, path)

        aside(self.pump, write, lambda text: self._saved(path, text), self._failed)

    def _saved(self, path: Path, text: str) -> None:
        link = ""
        if len(text) <= LINK_BYTES:
            packed = base64.b64encode(text.encode()).decode()
            link = f' <a download="{escape(path.name)}" href="data:text/csv;base64,{packed}">Download</a>'
        self.told.value = f'<span role="status">Saved as <code>{escape(str(path))}</code>.{link}</span>'

    def _failed(self, words: str) -> None:
        self.told.value = _words.problem(words)
