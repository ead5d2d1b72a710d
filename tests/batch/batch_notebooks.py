"""Notebooks to be executed in batches, and the command that does it in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat import v4

PARAMETERS = (
    'kind = "fine"  # choices: fine, raise, loop, hog, die, leave, rich, spawn, flaky\nseed: int = 0  # range: 0..999'
)

# Everything that a notebook can do to whoever executes it.
HOSTILE = """
import os, subprocess, sys, time
from workbench.batch import record
record("tried", 1)
if kind == "raise":
    raise ValueError(f"no good in /data/{seed}/x.csv: line {seed}")
if kind == "loop":
    while True:
        pass
if kind == "hog":
    kept = []
    while True:
        kept.append(bytearray(b"x") * 20_000_000)
        time.sleep(0.02)
if kind == "die":
    os._exit(3)
if kind == "leave":
    sys.exit(0)
if kind == "rich":
    get_ipython().set_custom_exc((Exception,), lambda shell, *error, **_: print("a pretty traceback, and no error output"))
if kind == "spawn":
    print(subprocess.Popen(["sleep", "1000"], start_new_session=True).pid)
"""
THEN = """
if kind == "rich":
    raise ValueError("shown prettily")
record("accuracy", 0.9 + seed / 1000, unit="share", n=100, lo=0.85, hi=0.95, better="higher")
record("bytes", 1000 + seed, unit="bytes", better="lower")
"""


def written(folder: Path, *sources: str, parameters: str | None = PARAMETERS, name: str = "work.ipynb") -> Path:
    """Write a notebook; `parameters` None leaves that cell out."""
    cells = [v4.new_markdown_cell("# Work")]
    if parameters is not None:
        cells.append(v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    cells += [v4.new_code_cell(source) for source in sources]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    path = folder / name
    nbformat.write(v4.new_notebook(cells=cells), path)
    return path


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "workbench.cli", "batch", *map(str, words)]


def called(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `workbench batch …` to its end."""
    return subprocess.run(command(*words), capture_output=True, text=True, stdin=subprocess.DEVNULL)


def processes_of(folder: Path) -> list[int]:
    """Return the processes that were started for rows of a batch and live."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            variables = (entry / "environ").read_bytes() if entry.name.isdigit() else b""
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0] if variables else "Z"
        except OSError:
            continue
        if f"WORKBENCH_BATCH_ROW={folder}".encode() in variables and state != "Z" and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found
