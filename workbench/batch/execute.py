"""Execute one notebook with strict parameters. The only place that imports papermill is this folder.

What papermill leaves open is closed here: an unknown or ill-typed parameter is refused before a kernel starts, the kernel
is this interpreter's and works in the notebook's own folder (so that relative paths mean what they mean in JupyterLab),
the whole notebook has a time limit, and the executed notebook appears whole or not at all.

    python -m workbench.batch.execute notebooks/20_compare.ipynb reports/tradeoffs.ipynb -p workers=2
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.batch._declared import declared, problems
from workbench.errors import InvalidInput, RunFailed

if TYPE_CHECKING:
    from nbformat import NotebookNode

ECHO_TAG = "echo"  # the printed text of cells with this tag is shown again by whoever executed the notebook

OnCell = Callable[[int, int, str], None]
"""Called before each cell with (cells done, cells in total, first line of the cell)."""


class NotebookFailed(RunFailed):
    """A notebook ended early; says in which cell of the source, and how."""

    def __init__(
        self, message: str, *, kind: Literal["raised", "timeout", "died"], cell: int, excerpt: str = "",
        name: str = "", value: str = "", traceback: Sequence[str] = (),
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.kind, self.cell, self.excerpt = kind, cell, excerpt  # cell: counted from 1; 0 = before the first
        self.name, self.value, self.traceback = name, value, tuple(traceback)  # of the exception that was raised


@dataclass(frozen=True)
class Executed:
    """An executed notebook on disk."""

    path: Path
    took_seconds: float
    echo: str  # what cells tagged `echo` printed
    notebook: NotebookNode  # what lies at `path`


def execute(
    notebook: Path,
    output: Path,
    *,
    parameters: Mapping[str, Any] | None = None,  # None = the notebook's own values
    timeout_seconds: float | None = None,  # for the whole notebook; None = no limit
    on_cell: OnCell | None = None,  # None = nobody watches
    kernel: type | None = None,  # manager of the kernel; None = ThisInterpreter
) -> Executed:
    """Run every cell and write the executed copy to `output`.

    Raises InvalidInput with every problem of the request, RunFailed with the cell that failed; what was executed up to
    there lies beside `output` as `….failed.ipynb`.
    """
    notebook, output, values = Path(notebook), Path(output), dict(parameters or {})
    source = read(notebook)
    _refuse(notebook, output, not_python(source) + problems(declared(source), values))
    watch = _Watch(source, timeout_seconds=timeout_seconds, on_cell=on_cell)
    draft, failed = output.with_name(f".draft-{os.getpid()}-{output.name}"), output.with_suffix(".failed.ipynb")
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        _run(notebook, draft, source=source, values=values, watch=watch, kernel=kernel)
        executed = _publish(draft, output, name=notebook.name)
        failed.unlink(missing_ok=True)
    except RunFailed as error:
        if draft.exists():
            _publish(draft, failed, name=notebook.name)
            error.next_move = f"open {failed}: it holds every output up to there"
        raise
    finally:
        draft.unlink(missing_ok=True)
    return Executed(output, took_seconds=time.monotonic() - watch.started, echo=_echo(executed), notebook=executed)


def read(notebook: Path) -> NotebookNode:
    """Return a notebook in the form of today, every cell with an id; raises InvalidInput when it isn't one."""
    import nbformat

    if not notebook.is_file():
        raise InvalidInput([f"no notebook {notebook}"])
    try:
        found = nbformat.v4.upgrade(nbformat.read(notebook, as_version=4))
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError) as error:
        raise InvalidInput([f"{notebook} is no notebook: {error}"]) from None
    for cell in found.cells:
        cell.setdefault("id", nbformat.v4.new_code_cell().id)
    return found


def _refuse(notebook: Path, output: Path, found: list[str]) -> None:
    if output.suffix != ".ipynb":
        found.append(f"{output}: the executed notebook's name must end in .ipynb")
    if output.resolve() == notebook.resolve():
        found.append(f"{output}: the executed copy would overwrite the notebook itself")
    if found:
        raise InvalidInput(found)


def not_python(source: NotebookNode) -> list[str]:
    language = source.metadata.get("kernelspec", {}).get("language", "python").lower()
    return [] if language == "python" else [f"it is a notebook in {language}; only Python ones are executed"]


class _Watch:
    """Knows which cell of the source runs now, tells `on_cell`, and shares the time limit out to the cells."""

    def __init__(self, source: NotebookNode, *, timeout_seconds: float | None, on_cell: OnCell | None) -> None:
        self.numbers = {cell.get("id"): number for number, cell in enumerate(source.cells, 1)}
        self.started = time.monotonic()
        self.timeout_seconds = timeout_seconds
        self.on_cell = on_cell
        self.cell: Any = None  # None = no cell has started

    def cell_starts(self, *, cell: NotebookNode, cell_index: int) -> None:
        self.cell = cell if cell.get("id") in self.numbers else self.cell
        if self.on_cell and cell.get("id") in self.numbers:
            self.on_cell(self.numbers[cell["id"]] - 1, len(self.numbers), _first_lines(cell.source, 1))

    def seconds_left(self, cell: NotebookNode) -> int | None:
        if self.timeout_seconds is None:
            return None
        return max(1, round(self.timeout_seconds - (time.monotonic() - self.started)))

    def place(self) -> dict[str, Any]:
        """Return the cell's number in the source and its text."""
        if self.cell is None:
            return {"cell": 0}
        return {"cell": self.numbers[self.cell["id"]], "excerpt": self.cell.source}

    def where(self) -> str:
        """Name the cell in the person's own words."""
        place = self.place()
        return (
            f"in cell {place['cell']} ({_first_lines(place['excerpt'], 2)})"
            if place["cell"]
            else "before its first cell"
        )


def _run(
    notebook: Path, draft: Path, *, source: NotebookNode, values: dict[str, Any], watch: _Watch, kernel: type | None
) -> None:
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill import PapermillExecutionError, execute_notebook

    from workbench.batch import _client
    from workbench.batch._kernel import ThisInterpreter

    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # its inspection is wrong (_declared); errors are raised
    try:
        execute_notebook(
            source,
            _braces_kept(draft),
            parameters=values,
            progress_bar=False,
            engine_name=_client.NAME,
            kernel_name="python3",  # only a label: ThisInterpreter decides
            language="python",
            kernel_manager_class=kernel or ThisInterpreter,
            resources={"metadata": {"path": str(notebook.resolve().parent)}},
            on_cell_start=watch.cell_starts,
            timeout_func=watch.seconds_left,
        )
    except PapermillExecutionError as error:
        said = f"{notebook.name} failed {watch.where()}: {error.ename}: {error.evalue}"
        raise NotebookFailed(
            said, kind="raised", **watch.place(), name=error.ename, value=error.evalue, traceback=error.traceback
        ) from None
    except CellTimeoutError:
        limit = f"its limit of {watch.timeout_seconds:g} s"
        said = f"{notebook.name} was stopped at {limit} {watch.where()}"
        raise NotebookFailed(said, kind="timeout", **watch.place()) from None
    except DeadKernelError:
        said = f"the kernel of {notebook.name} died {watch.where()} (killed, or out of memory)"
        raise NotebookFailed(said, kind="died", **watch.place()) from None


def _braces_kept(path: Path) -> str:
    """Papermill reads `{name}` in a path as a template."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _publish(draft: Path, target: Path, *, name: str) -> NotebookNode:
    """Record the names that a reader knows (papermill noted the draft's) and let the notebook appear whole."""
    import nbformat

    executed = nbformat.read(draft, as_version=4)
    executed.metadata.papermill.update(input_path=name, output_path=target.name)
    executed.metadata.pop(
        "widgets", None
    )  # nobody can touch them in a copy, and what draws charts alone is two megabytes
    nbformat.write(executed, draft)
    os.replace(draft, target)
    return executed


def _first_lines(source: str, count: int) -> str:
    lines = [line for line in source.splitlines() if line.strip()]
    return " / ".join(lines[:count]) + (" …" if len(lines) > count else "")


def _echo(executed: NotebookNode) -> str:
    cells = [cell for cell in executed.cells if ECHO_TAG in cell.metadata.get("tags", [])]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")


if __name__ == "__main__":
    from workbench.batch._command import main

    sys.exit(main())
