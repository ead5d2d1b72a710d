"""What one thread of this machine can do at most: measured once, kept in the user's cache, read by estimates and charts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from workbench import machine
from workbench.errors import RunFailed

MATRIX = 1024  # side of the matrices that are multiplied: large enough to reach the peak, 20 ms each
READ_BYTES = 128 * 2**20  # past any cache
SECONDS_FOR_ONE = 1.0  # for the tries of one figure; a call that takes longer is made twice


def cache_folder() -> Path:
    """Return where measured ceilings are kept: `workbench` in the user's cache, `XDG_CACHE_HOME` first."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "workbench"


def known() -> dict[str, Any] | None:
    """Return the kept ceilings; None when none were measured on this machine with these versions."""
    path = cache_folder() / "ceilings.json"
    try:
        record = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):  # cut short by a full disk: measuring anew repairs it
        return None
    return record if isinstance(record, dict) and record.get("machine") == _machine() else None


def obtain(*, again: bool = False) -> dict[str, Any]:
    """Return the kept ceilings, or measure (seconds) and keep them; `again` measures anyway."""
    kept = None if again else known()
    if kept is not None:
        return kept
    measured = {"machine": _machine(), **measure()}
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"ceilings-{os.getpid()}.partial"
    partial.write_text(json.dumps(measured, indent=1))
    partial.replace(folder / "ceilings.json")
    return measured


def obtain_elsewhere() -> dict[str, Any]:
    """Return what `obtain` does, measured by a process of its own: the caller stays without torch."""
    ended = subprocess.run([sys.executable, "-m", "workbench.ceilings"], capture_output=True, text=True, check=False)
    kept = known()
    if ended.returncode or kept is None:
        last = (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1]
        raise RunFailed(
            f"the ceilings of this machine could not be measured: {last}", next_move="workbench doctor --again"
        )
    return kept


def measure() -> dict[str, float]:
    """Measure with one thread, the best of several tries.

    `<dtype>_gflops`: the product of two 1024² matrices, two operations per multiply-accumulate. `<dtype>_row_gflops`: one
    row times such a matrix, which is what a batch of one does. `read_gb_per_s`: the sum over 128 MiB. `call_us`: the
    smallest torch call.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        figures = dict(_arithmetic())
        block, tiny = torch.ones(READ_BYTES // 4), torch.ones(4)
        figures["read_gb_per_s"] = 1e-9 * READ_BYTES / _best_seconds(block.sum, calls=1)
        figures["call_us"] = 1e6 * _best_seconds(lambda: tiny.add(1), calls=1000)
    finally:
        torch.set_num_threads(threads)
    return {name: float(f"{figure:.4g}") for name, figure in figures.items()}


def _arithmetic() -> Iterator[tuple[str, float]]:
    """Yield the rate of each dtype, for whole matrices and for one row."""
    import torch

    random = torch.Generator().manual_seed(0)
    left, right = (torch.randn(MATRIX, MATRIX, generator=random) for _ in range(2))
    whole = [(matrix * 30).clamp(-127, 127).to(torch.int8) for matrix in (left, right)]
    products: dict[str, tuple[Any, Any, Callable[[Any, Any], Any]]] = {
        "float32": (left, right, torch.matmul),
        "bfloat16": (left.bfloat16(), right.bfloat16(), torch.matmul),
        "int8": (whole[0], whole[1], torch._int_mm),
    }
    for name, (some, other, multiply) in products.items():
        for suffix, rows, calls in (("gflops", MATRIX, 1), ("row_gflops", 1, 50)):
            piece = some[:rows].contiguous()
            seconds = _best_seconds(multiply, piece, other, calls=calls)
            yield f"{name}_{suffix}", 2e-9 * rows * MATRIX * MATRIX / seconds


def _best_seconds(function: Callable[..., Any], *inputs: Any, calls: int, tries: int = 7) -> float:
    """Return the shortest mean time of one call: a ceiling is what is reached when nothing disturbs.

    A processor without instructions for a dtype takes seconds for what others do in milliseconds: it gets fewer tries.
    """
    start = perf_counter()
    function(*inputs)
    calls = max(1, min(calls, int(SECONDS_FOR_ONE / tries / (perf_counter() - start))))
    best, until = float("inf"), perf_counter() + SECONDS_FOR_ONE
    for _ in range(tries):
        start = perf_counter()
        for _ in range(calls):
            function(*inputs)
        best = min(best, (perf_counter() - start) / calls)
        if perf_counter() > until:
            break
    return best


def _machine() -> dict[str, str]:
    """Return what the figures hold for."""
    return {"cpu": machine.facts()["cpu"], "torch": machine.versions().get("torch", "")}


if __name__ == "__main__":
    obtain()
