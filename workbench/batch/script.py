"""A batch in parts, for machines that don't share a runner: one shell line per part, and a Slurm array that runs them.

Each part is a batch in a folder of its own, so it goes on by itself when its line is run again; `collect` joins their tables.
"""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from pathlib import Path

from workbench.batch._folder import Folder
from workbench.batch._options import Options
from workbench.batch._plan import Plan
from workbench.errors import InvalidInput
from workbench.store import disk_errors

LINES, ARRAY, GRIDS = "parts.txt", "array.sbatch", "grids"
BYTES_PER_MB = 1_000_000
SECONDS_TO_SAVE = 30
BATCH_SCRIPT = """#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --array=1-{parts}
#SBATCH --cpus-per-task={cores}
{limits}#SBATCH --signal=TERM@{seconds}
#SBATCH --requeue
# A part that was ended early goes on where it was: submit this again. Afterwards: {collect}
eval "exec $(sed -n "${{SLURM_ARRAY_TASK_ID}}p" {lines})"
"""


@dataclass(frozen=True)
class Written:
    """What was written, and the command that joins the tables of the parts."""

    lines: Path
    array: Path
    collect: str


def write_script(plan: Plan, out: Path, options: Options, *, parts: int) -> Written:
    """Write the grid of each part, the file of lines and the array; a row is in the same part whenever it is written again."""
    if not 1 <= parts <= len(plan.rows):
        raise InvalidInput([f"--parts: {parts} is not between 1 and the {len(plan.rows)} rows"])
    if Folder(out).exists:
        raise InvalidInput([f"{out} is a batch already"], next_move="name a new folder with --out")
    out, jobs, threads = out.absolute(), max(1, options.jobs), max(1, options.threads)
    with disk_errors(out):
        (out / GRIDS).mkdir(parents=True, exist_ok=True)
        lines = [_line(plan, out, number, parts, options, jobs) for number in range(1, parts + 1)]
        (out / LINES).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        collect = f"workbench batch collect {shlex.quote(str(out))}/part-* -o {shlex.quote(str(out / 'results.csv'))}"
        text = BATCH_SCRIPT.format(
            name=plan.notebook.stem, parts=parts, cores=jobs * threads, limits=_limits(options, jobs, len(plan.rows) / parts),
            seconds=SECONDS_TO_SAVE, collect=collect, lines=shlex.quote(str(out / LINES)),
        )  # fmt: skip
        (out / ARRAY).write_text(text, encoding="utf-8")
    return Written(out / LINES, out / ARRAY, collect)


def _line(plan: Plan, out: Path, number: int, parts: int, options: Options, jobs: int) -> str:
    import yaml

    name = f"part-{number:0{len(str(parts))}d}"
    grid = out / GRIDS / f"{name}.yaml"
    record = {
        "include": [dict(row.given) for row in plan.rows[number - 1 :: parts]],
        "inputs": list(plan.inputs),
        "stages": plan.then,
    }
    grid.write_text(yaml.safe_dump(record, sort_keys=False, allow_unicode=True), encoding="utf-8")
    words = ["workbench", "batch", "run", str(plan.notebook.absolute()), "--grid", str(grid), "--out", str(out / name)]
    words += ["-j", str(jobs), "--threads-per-job", str(max(1, options.threads))]
    for option, value in (("--timeout", options.timeout_s), ("--cell-timeout", options.cell_timeout_s)):
        words += [option, f"{value:g}s"] if value else []
    words += ["--mem", f"{math.ceil(options.memory_bytes / BYTES_PER_MB)}M"] if options.memory_bytes else []
    return shlex.join(words)


def _limits(options: Options, jobs: int, rows: float) -> str:
    """Return the lines that ask for memory and time, where the rows have limits."""
    asked = f"#SBATCH --mem={math.ceil(jobs * options.memory_bytes / BYTES_PER_MB)}M\n" if options.memory_bytes else ""
    if options.timeout_s:
        minutes = math.ceil(math.ceil(rows / jobs) * options.timeout_s / 60) + 1
        asked += f"#SBATCH --time={minutes}\n"
    return asked
