"""Batches from Python: start one beside this process, wait for it, read what there is.

The runner is a process of its own: it forks, which a kernel with its threads must not, and it outlives a closed tab.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from workbench.batch._folder import Folder
from workbench.batch._frame import flat, flat_line, to_frame
from workbench.batch._front import front
from workbench.batch.grid import Source
from workbench.batch.views import Batch, look
from workbench.errors import InvalidInput, RunFailed
from workbench.launch._order import ROOT, lasting_environment

if TYPE_CHECKING:
    import pandas as pd

BOOT = "import sys; sys.path.insert(0, sys.argv[1]); import workbench; del sys.path[0]; from workbench.batch.__main__ import main; main()"


@dataclass(frozen=True)
class BatchResult:
    """What lies in the folder of a batch."""

    batch: Batch

    @cached_property
    def df(self) -> pd.DataFrame:
        """One line per row: `param.*`, `metric.*`, `meta.*`; `df.attrs["front"]` names the rows that nothing else beats."""
        frame = to_frame([flat(view) for view in self.batch.rows])
        found = front(self.batch.lines)
        members = {line.view.row_id for line, _, _ in found.points if line.label in found.members} if found else set()
        frame.attrs["front"] = [view.row_id for view in self.batch.rows if view.row_id in members]
        return frame

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One line per run that the rows made in a store; per row where it made none."""
        return to_frame([flat_line(line) for line in self.batch.lines])

    @property
    def failures(self) -> list[dict[str, Any]]:
        """Errors that are the same one, together: signature, rows, and the first as an example."""
        return self.batch.errors

    @property
    def index_path(self) -> Path:
        return self.batch.folder.path / "index.html"

    def _repr_html_(self) -> str:
        return self.df._repr_html_()


@dataclass(frozen=True)
class Started:
    """A batch that runs in a process of its own."""

    folder: Folder
    process: subprocess.Popen[bytes]

    def wait(self) -> BatchResult:
        """Wait for the end; raises InvalidInput when nothing could run. Ctrl-C stops the batch, what is finished is kept."""
        try:
            said, _ = self.process.communicate()
        except KeyboardInterrupt:
            self.process.terminate()
            said, _ = self.process.communicate()
        lines = said.splitlines()
        told: dict[str, Any] = orjson.loads(lines[-1]) if lines else {"exit_code": None, "why": "without a word"}
        if told.get("problems"):
            raise InvalidInput(told["problems"], next_move=told["next"])
        if told["exit_code"] is None:
            raise RunFailed(f"the batch in {self.folder.path} ended early: {told['why']}")
        return BatchResult(look(self.folder))


def start(
    notebook: str | Path,
    grid: Source | None = None,
    out: str | Path = "batch",
    *,
    pairs: Sequence[str] = (),
    then: Sequence[str | Path] = (),
    **options: Any,
) -> Started:
    """Start a batch and return at once; `then` and `options` are those of `run`."""
    request: dict[str, Any] = {
        "notebook": str(Path(notebook).absolute()), "out": str(Path(out).absolute()), "pairs": list(pairs),
        "then": [str(Path(each).absolute()) for each in then],
        "grid": str(Path(grid).absolute()) if isinstance(grid, str | Path) else _plain(grid), "options": options,
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", BOOT, ROOT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, env=lasting_environment(),
    )  # fmt: skip
    assert process.stdin
    process.stdin.write(orjson.dumps(request))
    process.stdin.close()
    process.stdin = None
    return Started(Folder(out), process)


def run(
    notebook: str | Path,
    grid: Source | None = None,
    out: str | Path = "batch",
    *,
    pairs: Sequence[str] = (),
    then: Sequence[str | Path] = (),
    **options: Any,
) -> BatchResult:
    """Execute a notebook over a grid and return what came of it; rows that are done already are not done again.

    `grid` is a file, what such a file holds, or a list of points; `then` are notebooks that follow in each row. `options`: jobs,
    threads, timeout_s, cell_timeout_s, memory_bytes, retries, retry_on, max_failures, budget_s, cold. Raises InvalidInput, before any kernel, with every problem.
    """
    return start(notebook, grid, out, pairs=pairs, then=then, **options).wait()


def load(out: str | Path) -> BatchResult:
    """Return what lies in the folder of a batch, also while it runs."""
    return BatchResult(look(Folder(out)))


def _plain(grid: Any) -> Any:
    try:
        return orjson.loads(orjson.dumps(grid, option=orjson.OPT_SERIALIZE_NUMPY))
    except orjson.JSONEncodeError as error:
        raise InvalidInput([f"the grid holds what JSON can't: {error}"]) from None


def aggregate(frame: pd.DataFrame, *, by: Sequence[str], over: str = "seed") -> pd.DataFrame:
    """Return mean, sd, n and the ends of a 95 % t interval of each metric for each combination of the parameters `by`.

    `over` is the parameter that the rows of one combination differ in; rows that differ in others too are refused, since
    their mean would mix what was not asked about.
    """
    from scipy.stats import t

    keys = [name if name.startswith("param.") else f"param.{name}" for name in by]
    inner = over if over.startswith("param.") else f"param.{over}"
    missing = [name for name in (*keys, inner) if name not in frame.columns]
    if missing:
        raise InvalidInput([f"no column {name!r}" for name in missing])
    passed = frame[frame["meta.status"] == "passed"]
    others = [name for name in frame.columns if name.startswith("param.") and name not in (*keys, inner)]
    mixed = [
        name
        for name in others
        if (passed.groupby(keys, dropna=False)[name].agg(lambda values: len(set(map(str, values)))) > 1).any()
    ]
    if mixed:
        raise InvalidInput(
            [f"rows of one combination also differ in {name}" for name in mixed], next_move="name them in `by`"
        )
    metrics = [
        name for name in passed.columns if name.startswith("metric.") and not name.endswith((".lo", ".hi", ".n"))
    ]
    found = passed.groupby(keys, dropna=False)[metrics].agg(["mean", "std", "count"])
    for name in metrics:
        spread = found[(name, "std")] / found[(name, "count")] ** 0.5 * t.ppf(0.975, found[(name, "count")] - 1)
        found[(name, "lo")], found[(name, "hi")] = found[(name, "mean")] - spread, found[(name, "mean")] + spread
    found.columns = [
        f"{name}.{'sd' if kind == 'std' else 'n' if kind == 'count' else kind}" for name, kind in found.columns
    ]
    return found.reset_index()
