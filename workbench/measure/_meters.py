"""Joules, from counters where the machine lets us read them, else from CPU seconds.

A meter has `says` (what its figure is) and `joules()`, which only grows. Sources: Linux powercap documentation (RAPL,
`energy_uj` wraps at `max_energy_range_uj`); NVML `nvmlDeviceGetTotalEnergyConsumption` (millijoules).
"""

from __future__ import annotations

import importlib.util
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from workbench.errors import WorkbenchError
from workbench.measure._timing import calls_per_sample, inputs_from, sample

POWERCAP = Path("/sys/class/powercap")


class Meter(Protocol):
    says: str

    def joules(self) -> float:
        """Return joules since some moment in the past."""


class Rapl:
    """The processor packages' own counters: everything that runs on them counts, idle power too."""

    says = "rapl packages, idle power included"

    def __init__(self, zones: Sequence[Path]) -> None:
        self.zones = [zone / "energy_uj" for zone in zones]
        self.ranges = [int((zone / "max_energy_range_uj").read_text()) for zone in zones]
        self.last = [int(path.read_text()) for path in self.zones]
        self.total = 0

    def joules(self) -> float:
        """Add up the growth of every package; a counter that fell has wrapped once."""
        for index, path in enumerate(self.zones):
            now = int(path.read_text())
            grown = now - self.last[index]
            self.total += grown if grown >= 0 else grown + self.ranges[index] + 1
            self.last[index] = now
        return self.total / 1e6


class Nvml:
    """Counters of the graphics cards on which this process has work."""

    says = "nvml, whole cards"

    def __init__(self, library: Any, handles: Sequence[Any]) -> None:
        self.library, self.handles = library, handles

    def joules(self) -> float:
        return sum(self.library.nvmlDeviceGetTotalEnergyConsumption(handle) for handle in self.handles) / 1e3


class CpuSeconds:
    """An estimate: CPU seconds of this process times an assumed power of one busy core."""

    def __init__(self, watts_per_core: float) -> None:
        self.watts_per_core = watts_per_core
        self.says = f"estimate: CPU seconds × {watts_per_core:g} W per core"

    def joules(self) -> float:
        return time.process_time() * self.watts_per_core


def rapl_zones(root: Path = POWERCAP) -> list[Path]:
    """Return the package zones whose counters this user may read; subzones (core, dram) are inside or beside them."""
    zones = sorted(root.glob("intel-rapl:*"))
    return [
        zone for zone in zones
        if os.access(zone / "energy_uj", os.R_OK) and (zone / "name").read_text().startswith("package")
    ]  # fmt: skip


def cards_in_use() -> Nvml | None:
    """Return a meter of the cards on which this process has a context; None when it uses none, or NVML isn't there."""
    if importlib.util.find_spec("pynvml") is None or not Path("/dev/nvidiactl").exists():
        return None
    import pynvml

    pynvml.nvmlInit()
    handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    used = [
        handle for handle in handles
        if any(process.pid == os.getpid() for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle))
    ]  # fmt: skip
    return Nvml(pynvml, used) if used else None


def meters(source: str, watts_per_core: float) -> list[Meter]:
    """Return the meters of a source; `auto` takes every counter that can be read, and estimates when there is none."""
    if source == "estimate":
        return [CpuSeconds(watts_per_core)]
    zones, cards = (rapl_zones() if source != "nvml" else []), (cards_in_use() if source != "rapl" else None)
    found: list[Meter] = ([Rapl(zones)] if zones else []) + ([cards] if cards else [])
    if not found and source != "auto":
        what = (
            f"no readable package counter in {POWERCAP}"
            if source == "rapl"
            else "this process uses no card that NVML (pynvml) sees"
        )
        raise WorkbenchError(f"energy from {source}: {what}", next_move="use source auto, or source estimate")
    return found or [CpuSeconds(watts_per_core)]


def joules_per_example(
    sessions: list[Callable[[], Any]],
    *,
    probe: str,
    batch: int,
    windows: int,
    seconds: float,
    source: str,
    watts_per_core: float,
) -> dict[str, Any]:
    """(In a fresh process) return joules per example in each window of about `seconds`, and where they come from."""
    inputs = inputs_from(probe, batch)
    session = sessions[0]()
    warm = calls_per_sample(session, inputs)
    calls = max(1, math.ceil(seconds / sample(session, inputs, warm)))
    used = meters(source, watts_per_core)  # after warming up: only now a card is known to be in use
    found = []
    for _ in range(windows):
        before = [meter.joules() for meter in used]
        sample(session, inputs, calls)
        spent = sum(meter.joules() - start for meter, start in zip(used, before))
        if spent <= 0:
            raise WorkbenchError(f"the energy counter stood still for {seconds:g} s", next_move="use longer windows")
        found.append(spent / (calls * batch))
    return {"joules": found, "source": " + ".join(meter.says for meter in used), "calls": calls}
