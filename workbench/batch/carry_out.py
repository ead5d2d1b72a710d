"""Carries out a batch: plan, rows one process each, records, page. What the command line and Python both call."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workbench._where import parse
from workbench.batch._folder import Folder
from workbench.batch._members import sweep
from workbench.batch._on_ray import Cluster
from workbench.batch._options import Options
from workbench.batch._plan import Only, Plan, Sorted, make_plan, sort_out, stored_plan
from workbench.batch._runner import Runner, Tell
from workbench.batch.grid import Source
from workbench.batch.views import Batch, look
from workbench.errors import InvalidInput

DONE, FAILED, UNMET, HARNESS, PARTIAL, INTERRUPTED = 0, 1, 3, 4, 5, 130


@dataclass(frozen=True)
class Request:
    """What somebody asks for. Without a notebook it is the one that `out` was made for, with its rows."""

    out: Path
    notebook: Path | None = None
    grid: Source | None = None  # None = the rows that `pairs` spell, or those that `out` was made for
    pairs: tuple[str, ...] = ()
    options: Options = Options()
    force: bool = False
    only: Only = "all"
    where: str = ""
    require: tuple[str, ...] = ()
    allow_failures: int = 0
    junit: Path | None = None  # None = no such file
    then: tuple[Path, ...] = ()  # notebooks that follow in each row, after those that the grid names


@dataclass(frozen=True)
class Done:
    """How a batch ended; `why` says it in words where it isn't done."""

    exit_code: int
    why: str
    batch: Batch
    num_executed: int

    @property
    def next_move(self) -> str:
        """The command that goes on from here; empty when there is nothing left."""
        return "" if self.exit_code == DONE else resume_command(self.batch.folder)


def carry_out(
    request: Request,
    *,
    tell: Tell = lambda runner: None,
    on_plan: Callable[[Plan, Sorted], None] = lambda plan, found: None,
) -> Done:
    """Execute what a request asks for and isn't done; raises InvalidInput, before any kernel, with every problem."""
    met = _requirements(request.require)
    options = request.options.settled()
    folder = Folder(request.out)
    plan = _plan(request, folder)
    folder.make()
    with _where(options) as cluster, folder.held() as lock:
        sweep(f"{folder.rows}/")  # what a killed runner left running
        folder.clear_left_overs()
        found = sort_out(plan, folder, force=request.force, only=request.only, where=request.where)
        folder.write_plan(plan.to_json() | {"options": options.to_json(), "require": list(request.require)})
        folder.note_all((row_id, "skipped", {"why": why}) for row_id, why in found.left_out.items())
        on_plan(plan, found)
        runner = Runner(
            folder, plan.notebook.resolve(), options, list(found.wanted), tell, private=(lock,), cluster=cluster
        )
        runner.work_off()
    from workbench.batch._outputs import (
        write_junit,
        write_outputs,
    )  # brings numpy and its threads, which can't be forked

    batch = look(folder)
    write_outputs(batch)
    unmet = list(met(batch))
    if request.junit:
        write_junit(batch, request.junit, unmet=unmet)
    return Done(*_judged(runner, batch, unmet, request.allow_failures), batch, len(runner.ended))


@contextmanager
def _where(options: Options) -> Iterator[Cluster | None]:
    """Hold the connection to the cluster that executes the rows; None where they are executed here."""
    if options.executor != "ray":
        yield None
        return
    cluster = Cluster(options)
    try:
        yield cluster
    finally:
        cluster.close()


def resume_command(folder: Folder) -> str:
    options = Options.from_json(folder.plan()["options"])
    where = ["--executor", options.executor] if options.executor != "local" else []
    where += ["--address", options.address] if options.address else []
    for name, amount in options.resources.items():
        where += ["--resources", f"{name}={amount:g}"]
    return shlex.join(["workbench", "batch", "run", "--resume", "--out", str(folder.path), *where])


def _plan(request: Request, folder: Folder) -> Plan:
    if request.notebook is not None:
        return make_plan(request.notebook, request.grid, request.pairs, request.then)
    if request.grid is not None or request.pairs or request.then:
        raise InvalidInput(
            ["a grid, -p or --then needs the notebook too"],
            next_move="leave them out to go on with what the folder holds",
        )
    return stored_plan(folder)


def _requirements(texts: Sequence[str]) -> Callable[[Batch], Iterator[str]]:
    """Return what yields, for a batch, each requirement that a line with metrics doesn't meet."""
    any_name: Mapping[str, type] = _AnyName()
    parsed = [(text, parse(text, any_name)) for text in texts]

    def unmet(batch: Batch) -> Iterator[str]:
        lines = [line for line in batch.lines if line.view.state == "passed"]
        for text, holds in parsed:
            missing = [
                line.label
                for line in lines
                if not holds(defaultdict(lambda: None, {name: each.value for name, each in line.metrics.items()}))
            ]
            if missing or not lines:
                shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
                yield f"{text}: not met by {shown}" if lines else f"{text}: no row passed"

    return unmet


class _AnyName(dict[str, type]):
    """The columns of a requirement: any metric, each a number; which there are is known only afterwards."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> type:
        return float


def _judged(runner: Runner, batch: Batch, unmet: Sequence[str], allowed: int) -> tuple[int, str]:
    """Return the exit code, and why."""
    states: dict[str, int] = batch.counts
    broken = states.get("error", 0)
    bad = sum(states.get(state, 0) for state in ("failed", "timeout", "oom_limit", "kernel_died", "error"))
    if runner.interrupted:
        return INTERRUPTED, "interrupted: what was finished is kept"
    if runner.stopped:
        return PARTIAL, f"{runner.stopped}: {len(runner.waiting)} rows were not started"
    if broken:
        return HARNESS, f"{broken} rows ended without a word: rows/ROW/log.txt says more"
    if bad > allowed:
        return FAILED, f"{bad} of {len(batch.rows)} rows failed"
    return (UNMET, "; ".join(unmet)) if unmet else (DONE, "")
