"""What one thread of this machine can do at most: measured once, kept in the user's cache, read by estimates and charts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from workbench import machine
from workbench.errors import RunFailed

MATRIX = 1024  # side of the matrices that are multiplied: large enough to reach the peak, 20 ms each
FEW_ROWS = 64  # enough to come near the peak where a whole matrix would take seconds
READ_BYTES = 128 * 2**20  # past any cache
# Processor time of this thread says the same on a busy machine; where its clock is coarse (Windows), the wall's is read.
CLOCK = time.thread_time if time.get_clock_info("thread_time").resolution < 1e-5 else time.perf_counter
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

    `<dtype>_gflops`: the product of two 1024² matrices (64 rows of one where all would take seconds), two operations per
    multiply-accumulate; int8 in ONNX Runtime, which runs int8 files, the others in torch. `<dtype>_row_gflops`: one row
    times such a matrix, which is what a batch of one does. `read_gb_per_s`: the sum over 128 MiB. `call_us`: the
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
    narrow, whole = right.bfloat16(), (left * 30).clamp(-127, 127).add(127).to(torch.uint8)
    products: dict[str, tuple[Any, Callable[[Any], Any]]] = {
        "float32": (left, lambda some: torch.matmul(some, right)),
        "bfloat16": (left.bfloat16(), lambda some: torch.matmul(some, narrow)),
        "int8": (whole.numpy(), _int8_product()),
    }
    for name, (some, multiply) in products.items():
        for suffix, rows, calls in (("gflops", _rows(multiply, some), 1), ("row_gflops", 1, 50)):
            seconds = _best_seconds(multiply, some[:rows], calls=calls)
            yield f"{name}_{suffix}", 2e-9 * rows * MATRIX * MATRIX / seconds


def _rows(multiply: Callable[[Any], Any], some: Any) -> int:
    """Return how many rows are multiplied at once: all, unless this processor lacks instructions for the dtype."""
    seconds = _best_seconds(multiply, some[:FEW_ROWS], calls=1, tries=2)
    return FEW_ROWS if seconds * MATRIX / FEW_ROWS > SECONDS_FOR_ONE else MATRIX


def _int8_product() -> Callable[[Any], Any]:
    """Return the product of uint8 rows with an int8 matrix as int8 files make it in ONNX Runtime: the same in torch is a slow
    loop on processors without VNNI.
    """
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    weight = np.random.default_rng(0).integers(-127, 128, (MATRIX, MATRIX)).astype(np.int8)
    scale, wide = np.array(0.02, np.float32), np.array(20.0, np.float32)
    middle, zero = np.array(127, np.uint8), np.array(0, np.int8)
    constants = {"weight": weight, "scale": scale, "wide": wide, "middle": middle, "zero": zero}
    names = ["rows", "scale", "middle", "weight", "scale", "zero", "wide", "middle"]
    given, told = (
        helper.make_tensor_value_info(name, TensorProto.UINT8, ["n", MATRIX]) for name in ("rows", "product")
    )
    graph = helper.make_graph(
        [helper.make_node("QLinearMatMul", names, ["product"])], "product", [given], [told],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda some: session.run(None, {"rows": some})


def _best_seconds(function: Callable[..., Any], *inputs: Any, calls: int, tries: int = 7) -> float:
    """Return the shortest mean time of one call: a ceiling is what is reached when nothing disturbs.

    A processor without instructions for a dtype takes seconds for what others do in milliseconds: it gets fewer tries.
    """
    start = CLOCK()
    function(*inputs)
    calls = max(1, min(calls, int(SECONDS_FOR_ONE / tries / (CLOCK() - start))))
    best, until = float("inf"), CLOCK() + SECONDS_FOR_ONE
    for _ in range(tries):
        start = CLOCK()
        for _ in range(calls):
            function(*inputs)
        best = min(best, (CLOCK() - start) / calls)
        if CLOCK() > until:
            break
    return best


def _machine() -> dict[str, str]:
    """Return what the figures hold for."""
    versions = machine.versions()
    return {"cpu": machine.facts()["cpu"], **{name: versions.get(name, "") for name in ("torch", "onnxruntime")}}


if __name__ == "__main__":
    obtain()
