"""Papermill's engine with one difference: a cell that prints without end doesn't take the notebook, the memory or the disk along."""

from __future__ import annotations

from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

NAME = "workbench"
MOST_PRINTED = 10_000_000  # characters of one cell
CHARACTERS_PER_MB = 1_000_000
SECONDS_OF_SILENCE = 3600  # between a cell's end and its last output: a kernel may be paused there while others measure


class Client(PapermillNotebookClient):
    """Keeps the first ten million characters that a cell prints, and says how many more there were."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"iopub_timeout": SECONDS_OF_SILENCE, **options})
        self._printed: dict[int, int] = {}  # characters, by cell
        self._notes: dict[int, NotebookNode] = {}

    def output(
        self, outs: list[NotebookNode], msg: dict[str, Any], display_id: str | None, cell_index: int
    ) -> NotebookNode | None:
        """Add an output to a cell, as far as there is room."""
        if msg["msg_type"] != "stream":
            return super().output(outs, msg, display_id, cell_index)
        text = msg["content"]["text"]
        before = self._printed.get(cell_index, 0)
        self._printed[cell_index] = before + len(text)
        if before + len(text) <= MOST_PRINTED:
            return super().output(outs, msg, display_id, cell_index)
        kept = None
        if before < MOST_PRINTED:
            msg["content"]["text"] = text[: MOST_PRINTED - before]
            kept = super().output(outs, msg, display_id, cell_index)
        self._note(outs, cell_index)
        return kept

    def _note(self, outs: list[NotebookNode], cell_index: int) -> None:
        more = (self._printed[cell_index] - MOST_PRINTED) / CHARACTERS_PER_MB
        note = self._notes.setdefault(cell_index, new_output("stream", name="stderr", text=""))
        note["text"] = f"\n… {more:,.1f} million more characters were printed and are not kept\n"
        if not any(each is note for each in outs):
            outs.append(note)


class Engine(NBClientEngine):
    """Hands notebooks to that client; papermill's own engine has no place to name one."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, start_timeout: int = 60, **options: Any) -> Any:
        for name in ("input_path", "execution_timeout", "timeout"):
            options.pop(name, None)
        return Client(nb_man, kernel_name=kernel_name, startup_timeout=start_timeout, **options).execute()


papermill_engines.register(NAME, Engine)
