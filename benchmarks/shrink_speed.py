"""What does it cost to shrink a checkpoint, against copying it and against loading it whole? Does memory stay small at 24 GiB?

Copy, int8, int4 and load-all take turns on 3 GB of written random bfloat16, each in a process of its own, one thread of
arithmetic (a second one writes and hashes). Then a Llama-shaped checkpoint of 24 GiB is made, shrunk to int4, killed half
way, and taken up again; everything is removed afterwards. `--gib N` makes the large one smaller, where disk is short.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from _results import finish, median  # noqa: E402

from workbench.shrink import synthetic as made  # noqa: E402

TURNS = 5
INT8, INT4 = "weight_only bits=8 group_size=none", "weight_only bits=4 group_size=128"
INT8_BAR, INT4_BAR, LOAD_BAR, BYTES_BAR = 1.1, 1.3, 12.0, 250_000_000
LARGE_BYTES_BAR = 2 << 30
LOAD_ALL = """
import sys
from pathlib import Path
import torch
from safetensors.torch import load_file, save_file
torch.set_num_threads(1)
source, out = map(Path, sys.argv[1:])
tensors = {}
for path in sorted(source.glob("*.safetensors")):
    tensors.update(load_file(path))
for name, weight in list(tensors.items()):
    if weight.ndim == 2 and "embed" not in name and "lm_head" not in name:
        wide = weight.float()
        scale = wide.abs().amax(1, keepdim=True).clamp(min=1e-9) / 127.5
        tensors[name] = (wide / scale).round().clamp(-128, 127).to(torch.int8)
        tensors[name + "_scale"] = scale.to(weight.dtype)
out.mkdir()
save_file(tensors, out / "model.safetensors")
"""


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--gib", type=float, default=24.0)
    asked.add_argument(
        "--folder", type=Path, default=None, help="where the checkpoints are made; default: the system's"
    )
    asked.add_argument(
        "--turns", type=int, default=TURNS, help="of copy, int8, int4 and load-all, after one that warms up"
    )
    options = asked.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        samples, resident = _in_turn(Path(folder), options.turns)
        large = _large(Path(folder), options.gib)
    ratios = {
        name: median([one / other for one, other in zip(samples[name], samples["cp"])]) for name in ("int8", "int4")
    }
    load = median([one / other for one, other in zip(samples["load all"], samples["int8"])])
    most = max(resident["int8"], resident["int4"])
    finish(
        "shrink_speed",
        {
            f"int8: {ratios['int8']:.2f} × the time of cp ≤ {INT8_BAR:g} ×": ratios["int8"] <= INT8_BAR,
            f"int4: {ratios['int4']:.2f} × the time of cp ≤ {INT4_BAR:g} ×": ratios["int4"] <= INT4_BAR,
            f"loading it whole takes {load:.1f} × as long as int8 ≥ {LOAD_BAR:g} ×": load >= LOAD_BAR,
            f"{most / 1e6:.0f} MB resident at most ≤ {BYTES_BAR / 1e6:.0f} MB": most <= BYTES_BAR,
            f"{options.gib:g} GiB, killed and resumed: {large['resident'] / 1e6:.0f} MB ≤ 2 GiB": large["resident"] <= LARGE_BYTES_BAR,
        },
        summary=f"int8 {ratios['int8']:.2f} × cp, int4 {ratios['int4']:.2f} × cp, load-all {load:.1f} × int8, {most / 1e6:.0f} MB; "
        f"{options.gib:g} GiB in {large['seconds']:.0f} s and {large['resident'] / 1e6:.0f} MB",
        figures={**ratios, "load_all_over_int8": load, "resident": resident, "large": large},
        samples=samples,
    )  # fmt: skip


def _in_turn(folder: Path, turns: int) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Return seconds of each way in each turn, and the most bytes in memory."""
    source = made.llama(folder / "three", layers=11, width=3072, vocabulary=4096, per_file=11)
    ways = {
        "cp": ["cp", "-r", str(source), str(folder / "out")],
        "int8": _shrink(source, folder / "out", INT8),
        "int4": _shrink(source, folder / "out", INT4),
        "load all": [sys.executable, "-c", LOAD_ALL, str(source), str(folder / "out")],
    }
    samples: dict[str, list[float]] = {name: [] for name in ways}
    resident = dict.fromkeys(ways, 0)
    for turn in range(turns + 1):
        for name, command in ways.items():
            seconds, most = _timed(command)
            shutil.rmtree(folder / "out")
            resident[name] = max(resident[name], most)
            if turn:  # the first one compiles, and reads from the disk
                samples[name].append(seconds)
        print({name: round(values[-1], 2) for name, values in samples.items() if values}, flush=True)
    shutil.rmtree(source)
    return samples, resident


def _shrink(source: Path, out: Path, step: str) -> list[str]:
    return [sys.executable, "-m", "workbench.cli", "shrink", str(source), str(out), "--step", step, "--json"]


def _timed(command: list[str], kill_when: Any = None) -> tuple[float, int]:
    """Return the seconds of a process and the most bytes it had in memory; it is killed once `kill_when` says so."""
    begin, most = time.perf_counter(), 0
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while child.poll() is None:
        try:
            found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{child.pid}/status").read_text())
        except ProcessLookupError:
            found = None
        most = max(most, 1024 * int(found[1])) if found else most
        if kill_when and kill_when():
            child.send_signal(signal.SIGKILL)
        time.sleep(0.01)
    took = time.perf_counter() - begin
    if not kill_when and child.returncode:
        sys.exit(f"{command} ended with {child.returncode}")
    return took, most


def _large(folder: Path, gib: float) -> dict[str, Any]:
    """Shrink a checkpoint of Llama-3-8B's widths to int4, killed when half of its files are there; the seconds are of both runs."""
    layers = max(2, round(gib * 2**30 / 369_000_000))
    needed = 1.4 * gib * 2**30
    if shutil.disk_usage(folder).free < needed:
        sys.exit(f"{folder} lacks {needed / 1e9:.0f} GB: --gib or --folder")
    source, out = made.llama(folder / "large", layers=layers, width=4096, vocabulary=128256, per_file=8), folder / "out"
    size = sum(path.stat().st_size for path in source.glob("*.safetensors"))
    half = size / 2e9 / 2
    first, before = _timed(_shrink(source, out, INT4), lambda: len(list(out.glob("*.safetensors"))) >= half)
    kept = {path.name: path.stat().st_ino for path in out.glob("*.safetensors")}
    second, after = _timed(_shrink(source, out, INT4))
    record = json.loads((out / "shrink.json").read_text())
    if not record["finished"] or any((out / name).stat().st_ino != inode for name, inode in kept.items()):
        sys.exit("what was finished before the kill was written again")
    return {"bytes": size, "shrunk": record["bytes"], "kept": len(kept), "files": len(record["shards"]),
            "seconds": first + second, "resident": max(before, after)}  # fmt: skip


if __name__ == "__main__":
    main()
