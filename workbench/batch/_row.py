"""The process of one row: executes the notebook in a draft folder, and leaves there what became of it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

import orjson

from workbench import _made
from workbench.batch import _members
from workbench.batch._thumbnail import write_thumbnail
from workbench.batch.inside import CACHE
from workbench.errors import InvalidInput
from workbench.launch._order import BATCH_MARK, THREAD_VARIABLES
from workbench.store import write_json

if TYPE_CHECKING:
    from nbformat import NotebookNode

PROGRESS, OUTCOME, KERNEL, MADE, LOG = "progress.jsonl", "outcome.json", "kernel.json", "made.jsonl", "log.txt"
OUT, PAGE = "out.ipynb", "out.html"
EXCERPT_LINES = 12
SIGNAL_WHEN_PARENT_DIES = 1  # prctl's number
RUNTIME = "JUPYTER_RUNTIME_DIR"  # where connection files and sockets of kernels lie


@dataclass(frozen=True)
class Order:
    """What a row's process is told."""

    notebook: str
    draft: str
    given: dict[str, Any]
    threads: int
    cache: str
    warm: bool = False  # the kernel is forked from this process
    pages: str = "none"  # which executed notebooks also become a page: all, failed or none
    then: tuple[tuple[str, dict[str, Any]], ...] = ()  # notebooks that follow, each with what it is given

    @property
    def stages(self) -> list[tuple[str, dict[str, Any]]]:
        return [(self.notebook, self.given), *self.then]


def begin(order: Order, runner: int, private: Sequence[IO[bytes]] = ()) -> None:
    """Be the process of a row from its first moment to its end, without what is the runner's alone; never returns."""
    from workbench.batch._kernel import RowKernel
    from workbench.batch._warm_kernel import Waiting, WarmKernel

    os.setsid()
    for each in private:
        each.close()
    _end_with(runner)
    with Path(order.draft, LOG).open("ab") as log:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())
    kernel: type = RowKernel
    if order.warm:
        WarmKernel.waiting, kernel = Waiting.several(len(order.stages)), WarmKernel
    _carry_out(order, kernel)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _carry_out(order: Order, kernel: type) -> None:
    """Execute, and write outcome.json; what nobody foresaw goes to the log, and no outcome means that."""
    runtime = tempfile.mkdtemp(prefix="wb-")  # short, private: paths of sockets are limited to 107 bytes
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(order.threads)))
    if path := os.environ.get("PYTHONPATH"):  # the kernel works in the notebook's folder
        os.environ["PYTHONPATH"] = os.pathsep.join(os.path.abspath(entry) for entry in path.split(os.pathsep) if entry)
    os.environ |= {
        BATCH_MARK: order.draft, CACHE: order.cache, RUNTIME: runtime,
        _made.VARIABLE: str(Path(order.draft, MADE)),
    }  # fmt: skip
    try:
        outcome = _executed(order, kernel)
    finally:
        shutil.rmtree(runtime, ignore_errors=True)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    outcome["cpu_s"] = round(sum(each.ru_utime + each.ru_stime for each in used), 3)
    write_json(Path(order.draft, OUTCOME), outcome)
    if order.pages == "all" or (order.pages == "failed" and outcome["ended"] != "passed"):
        for copy in Path(order.draft).glob("out*.ipynb"):
            _write_page(copy)


def _write_page(copy: Path) -> None:
    from workbench.batch.page import write_page

    with contextlib.suppress(InvalidInput):  # nothing was executed, so there is nothing to show
        write_page(copy, copy.with_suffix(".html"))


def copy_name(number: int, notebook: str) -> str:
    """Return what the executed copy of a row's notebook is called; `number` counts from 1."""
    return OUT if number == 1 else f"out-{number}-{Path(notebook).name}"


def _executed(order: Order, kernel: type) -> dict[str, Any]:
    """Execute the notebooks of a row until one doesn't pass; what each tells is put together."""
    together: dict[str, Any] = {"note": "", "sections": {}}
    count = len(order.stages)
    for number, (notebook, given) in enumerate(order.stages, 1):
        name = Path(notebook).name if count > 1 else ""
        stage = f"{number}/{count} {name}" if count > 1 else ""
        outcome = _stage(Path(notebook), given, Path(order.draft, copy_name(number, notebook)), kernel, stage)
        notes = [
            note
            for note in (
                together["note"],
                f"{name}: {outcome['note']}" if name and outcome["note"] else outcome["note"],
            )
            if note
        ]
        sections = {f"{name}: {title}" if name else title: took for title, took in outcome["sections"].items()}
        together |= outcome | {"note": "; ".join(notes), "sections": together["sections"] | sections, "notebook": name}
        if outcome["ended"] != "passed":
            break
    return together


def _stage(notebook: Path, given: dict[str, Any], output: Path, kernel: type, stage: str) -> dict[str, Any]:
    from workbench.batch.execute import NotebookFailed, execute, read

    source = read(notebook)
    told = _Told(output.parent / PROGRESS, source, stage)
    outcome: dict[str, Any] = {"ended": "passed", "note": ""}
    try:
        executed = execute(notebook, output, parameters=given, on_cell=told.cell, kernel=kernel).notebook
        outcome["note"] = _left_early(executed, source)
    except NotebookFailed as error:
        outcome = {
            "ended": error.kind, "cell": error.cell, "excerpt": _first_lines(error.excerpt), "name": error.name, "value": error.value,
            "traceback": error.traceback, "message": error.message, "note": "",
        }  # fmt: skip
        kept = output.with_suffix(".failed.ipynb")
        executed = read(kept) if kept.exists() else source
        if kept.exists():
            kept.rename(output)
    write_thumbnail(executed, output.parent)
    return outcome | {"sections": _sections(executed)}


class _Told:
    """Writes down which cell begins when, for the runner."""

    def __init__(self, path: Path, source: NotebookNode, stage: str) -> None:
        self.file = path.open("ab", buffering=0)
        self.titles, self.stage = _titles(source), stage

    def cell(self, done: int, total: int, first_line: str) -> None:
        where = {
            "t": time.time(), "cell": done + 1, "total": total, "title": self.titles[done], "line": first_line, "stage": self.stage,
        }  # fmt: skip
        self.file.write(orjson.dumps(where) + b"\n")


def _titles(notebook: NotebookNode) -> list[str]:
    """Return the heading above each cell."""
    titles, title = [], ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heads = [line.lstrip("#").strip() for line in cell.source.splitlines() if line.startswith("#")]
            title = heads[-1] if heads else title
        titles.append(title)
    return titles


def _sections(executed: NotebookNode) -> dict[str, float]:
    """Return the seconds of the cells below each heading."""
    found: dict[str, float] = {}
    for cell, title in zip(executed.cells, _titles(executed)):
        took = (cell.metadata.get("papermill") or {}).get("duration")
        if cell.cell_type == "code" and took:
            found[title] = round(found.get(title, 0.0) + took, 3)
    return found


def _left_early(executed: NotebookNode, source: NotebookNode) -> str:
    """Say when a cell ended the notebook with sys.exit(0), which papermill takes for success."""
    numbers = {cell.get("id"): number for number, cell in enumerate(source.cells, 1)}
    for cell in executed.cells:
        if any(output.get("ename") == "SystemExit" for output in cell.get("outputs", [])):
            number = numbers.get(cell.get("id"), 0)
            rest = sum(each.cell_type == "code" for each in source.cells[number:])
            return f"left early by sys.exit in cell {number}: {rest} code cells did not run"
    return ""


def _first_lines(source: str) -> str:
    lines = source.strip("\n").splitlines()
    return "\n".join(lines[:EXCERPT_LINES]) + ("\n…" if len(lines) > EXCERPT_LINES else "")


def _end_with(runner: int) -> None:
    """See to it that this process, and all that belongs to it, ends when the runner does, however that ends."""
    signal.signal(signal.SIGTERM, _end_all)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the runner decides
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(SIGNAL_WHEN_PARENT_DIES, signal.SIGTERM)
    if os.getppid() != runner:
        _end_all(signal.SIGTERM, None)


def _end_all(_number: int, _frame: FrameType | None) -> None:
    mark = os.environ.get(BATCH_MARK, "")
    snapshot = _members.Snapshot()
    belonging = {process.pid: process for process in snapshot.below([os.getpid()], mark)}
    if mark:
        belonging |= {process.pid: process for process in snapshot.marked(mark)}
    belonging.pop(os.getpid(), None)
    _members.end(belonging.values(), grace=0)
    if runtime := os.environ.get(RUNTIME):
        shutil.rmtree(runtime, ignore_errors=True)
    os._exit(1)


def main(path: str, runner: str) -> None:
    """Entry of a process that was not forked: `python -m workbench.batch._row ORDER.json PID`."""
    begin(Order(**orjson.loads(Path(path).read_bytes())), int(runner))


def write_order(order: Order) -> Path:
    path = Path(order.draft, "order.json")
    write_json(path, asdict(order))
    return path


if __name__ == "__main__":
    main(*sys.argv[1:])
