"""Measure the packaged model on this machine: python measure.py [--device NAME] [--out RESULT.json]

Part of a package that `workbench package` wrote, beside artifact/ and timing.py; needs what requirements.txt lists and nothing of
the workbench. It checks every file against its hash and the answer against the recorded one, then times single calls and bursts in fresh
processes, by the same protocol as the workbench itself. `workbench import RESULT.json` adds the device to its tables and charts.
"""

import argparse
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import runpy
import subprocess
import sys
import time

here = pathlib.Path(__file__).resolve().parent
KIND = "workbench-device-result"
ISA_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "neon", "asimddp", "i8mm", "sve")


def main() -> int:
    asked = _arguments()
    if asked.turn is not None:
        print(json.dumps(_one_process(asked)))
        return 0
    card = json.loads((here / "artifact" / "card.json").read_text())
    if wrong := _changed_files(card):
        print(f"changed since the package was written: {', '.join(wrong)}", file=sys.stderr)
        return 1
    checked = subprocess.run([sys.executable, "-I", str(here / "artifact" / "load.py")], capture_output=True, text=True)
    print(checked.stdout.strip() or checked.stderr.strip()[-2000:])
    if checked.returncode:
        print("the model does not give its recorded output here: nothing was measured", file=sys.stderr)
        return 1
    started, load, answers = _now(), _load1(), []
    for turn in range(asked.restarts):
        print(f"timing, process {turn + 1} of {asked.restarts}", flush=True)
        answers.append(_in_fresh_process(asked, turn))
    result = {
        "schema": 1, "kind": KIND, "run_id": card["run_id"], "device": asked.device or platform.node(),
        "files": {name: facts["sha256"] for name, facts in card["files"].items()},
        "machine": _facts(), "versions": _versions(card), "started": started, "ended": _now(),
        "conditions": {"threads": asked.threads, "batch": asked.batch, "restarts": asked.restarts, "load1": max(load, _load1()),
                       "warm_up_seconds": answers[0]["warm_up_seconds"], "measured_alone": False},
        "samples_ms": [answer["samples_ms"][0] for answer in answers],
        "single_ms": [answer["single_ms"] for answer in answers],
        "calls_per_sample": [answer["calls"][0] for answer in answers],
        "peak_bytes": [answer["peak_bytes"] for answer in answers],
    }  # fmt: skip
    out = pathlib.Path(asked.out)
    out.write_text(json.dumps(result))
    singles = sorted(value for each in result["single_ms"] for value in each)
    print(f"{len(singles)} calls, median {singles[len(singles) // 2]:.3f} ms → workbench import {out}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="", help="what to call this machine; default: its host name")
    parser.add_argument("--out", default="RESULT.json")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=150, help="samples over all processes")
    parser.add_argument("--singles", type=int, default=300, help="single calls over all processes")
    parser.add_argument("--restarts", type=int, default=5, help="fresh processes")
    parser.add_argument("--turn", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def _in_fresh_process(asked: argparse.Namespace, turn: int) -> dict:
    given = {"threads": asked.threads, "batch": asked.batch, "turn": turn}
    given |= {name: -(-getattr(asked, name) // asked.restarts) for name in ("pairs", "singles")}
    command = [sys.executable, "-I", __file__, *(f"--{name}={value}" for name, value in given.items())]
    environment = {**os.environ, "OMP_NUM_THREADS": str(asked.threads)}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def _one_process(asked: argparse.Namespace) -> dict:
    timing = runpy.run_path(str(here / "timing.py"))
    open_model = runpy.run_path(str(here / "artifact" / "load.py"))["open_model"]
    prepared = timing["interleaved"](
        [lambda: open_model(asked.threads)], probe=str(here / "artifact" / "probe.npz"), batch=asked.batch,
        pairs=asked.pairs, singles=asked.singles, turn=asked.turn,
    )  # fmt: skip
    next(prepared)
    try:
        next(prepared)
    except StopIteration as ended:
        peak = timing["high_water_bytes"]()
        return {**ended.value, "peak_bytes": peak, "warm_up_seconds": timing["WARM_UP_SECONDS"]}
    raise AssertionError("the protocol yields once")


def _changed_files(card: dict) -> list:
    found = []
    for name, facts in card["files"].items():
        path = here / "artifact" / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != facts["sha256"]:
            found.append(name)
    return found


def _facts() -> dict:
    """Return what a run's record says of a machine."""
    name, flags = platform.processor() or platform.machine(), set()
    info = pathlib.Path("/proc/cpuinfo")
    if info.exists():
        fields = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        named = {key.strip(): value.strip() for key, value in fields.items()}
        name = named.get("model name", named.get("Model", platform.machine()))
        flags = set(named.get("flags", named.get("Features", "")).split())
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else None
    return {
        "cpu": name, "cores": os.cpu_count() or 1, "isa": [flag for flag in ISA_FLAGS if flag in flags],
        "memory_bytes": pages, "system": f"{platform.system()} {platform.machine()}",
    }  # fmt: skip


def _versions(card: dict) -> dict:
    found = {"python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in card["needs"]}


def _load1() -> float:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


if __name__ == "__main__":
    sys.exit(main())
