"""Facts about this machine, and the lock that keeps our own work quiet while something is timed.

Two advisory locks make it: `intent` is held by whoever wants to measure, `work` is shared by everything that computes and
held alone by the one that measures. A worker passes `breathe()` often; there it stands aside when somebody wants quiet.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from workbench.errors import WorkbenchError

RECORDED_PACKAGES = (
    "torch",
    "numpy",
    "onnx",
    "onnxruntime",
    "openvino",
    "nncf",
    "transformers",
    "torch-pruning",
    "scikit-learn",
)
ISA_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "neon", "asimddp", "i8mm", "sve")


@functools.cache
def facts() -> dict[str, Any]:
    """Return what a record says of a machine: cpu, cores, instruction sets, memory, system."""
    import psutil

    name, flags = _cpu()
    return {
        "cpu": name,
        "cores": os.cpu_count() or 1,
        "isa": [flag for flag in ISA_FLAGS if flag in flags],
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
    }


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions that a record names, without importing anything heavy."""
    from workbench import __version__

    found = {"workbench": __version__, "python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def _cpu() -> tuple[str, frozenset[str]]:
    """Return (name, flags) from the kernel where it tells; other systems give a name only."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine(), frozenset()
    fields = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    return named.get("model name", platform.machine()), frozenset(named.get("flags", named.get("Features", "")).split())


class Quiet:
    """This process's place in the machine-wide order of working and measuring.

    Locks belong to one user on one machine (`WORKBENCH_LOCKS` moves them) and vanish with the process that holds them.
    Where the system has no flock (Windows), nothing is locked and `exclusive` says `measured_alone: False`.
    """

    num_alone = 0  # of this process's `exclusive` blocks, those that are open

    def __init__(self) -> None:
        self.on_wait: Callable[[], None] | None = None  # called when work has to wait for somebody who measures
        self._work: TextIO | None = None
        self._intent: TextIO | None = None

    def __enter__(self) -> Quiet:
        if os.name == "posix":
            folder = Path(os.environ.get("WORKBENCH_LOCKS") or Path(tempfile.gettempdir()) / f"workbench-{os.getuid()}")
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._work = (folder / "work.lock").open("w")
            self._intent = (folder / "intent.lock").open("w")
            self._start_working()
        return self

    def __exit__(self, *_: object) -> None:
        for handle in (self._work, self._intent):
            if handle:
                handle.close()
        self._work = self._intent = None

    def breathe(self) -> None:
        """Stand aside while another process measures; cheap when nobody does."""
        if not self._work or not self._intent:
            return
        import fcntl

        try:
            fcntl.flock(self._intent, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(self._work, fcntl.LOCK_UN)
            self._start_working()
        else:
            fcntl.flock(self._intent, fcntl.LOCK_UN)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Don't count as working while waiting for something that another worker does."""
        if not self._work:
            yield
            return
        import fcntl

        fcntl.flock(self._work, fcntl.LOCK_UN)
        try:
            yield
        finally:
            self._start_working()

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[dict[str, Any]]:
        """Hold the machine alone; yields a dict filled at the end: measured_alone, load1, other_cpu (cores)."""
        told: dict[str, Any] = {"measured_alone": self._work is not None}
        if not self._work or not self._intent:
            yield told
            return
        import fcntl

        fcntl.flock(self._work, fcntl.LOCK_UN)
        try:
            fcntl.flock(self._intent, fcntl.LOCK_EX)
            fcntl.flock(self._work, fcntl.LOCK_EX)
            Quiet.num_alone += 1
            before = _busy_seconds()
            try:
                yield told
            finally:
                Quiet.num_alone -= 1
            told |= _load_since(before)
        finally:
            fcntl.flock(self._work, fcntl.LOCK_UN)
            fcntl.flock(self._intent, fcntl.LOCK_UN)
            self._start_working()

    def _start_working(self) -> None:
        import fcntl

        assert self._work and self._intent
        try:
            fcntl.flock(self._intent, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if self.on_wait:
                self.on_wait()
            fcntl.flock(self._intent, fcntl.LOCK_SH)  # a queue: whoever wants quiet goes first
        fcntl.flock(self._work, fcntl.LOCK_SH)
        fcntl.flock(self._intent, fcntl.LOCK_UN)


def refuse_to_wait() -> None:
    """Raise WorkbenchError where this process holds the machine alone: a worker stands aside, and both would wait for ever."""
    if Quiet.num_alone:
        raise WorkbenchError(
            "this process holds the machine alone, and a worker would wait for ever",
            next_move="carry out runs outside of `with exclusive():`",
        )


def _busy_seconds() -> tuple[float, float, float]:
    """Return (wall clock, busy CPU seconds of the machine, CPU seconds of us and our ended children)."""
    import psutil

    times = psutil.cpu_times()
    own = os.times()
    busy = times.user + times.system + getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0)
    return time.perf_counter(), busy, own.user + own.system + own.children_user + own.children_system


def _load_since(before: tuple[float, float, float]) -> dict[str, Any]:
    wall, busy, own = (now - then for now, then in zip(_busy_seconds(), before))
    other = max(0.0, busy - own) / max(wall, 1e-9)
    return {"load1": round(os.getloadavg()[0], 2), "other_cpu": round(other, 2)}
