"""Hardware by its makers' figures, and this machine by what it has shown."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import resources

from workbench import ceilings
from workbench.errors import InvalidInput

HERE = "here"  # this machine, one thread, as `workbench doctor` measured it


@dataclass(frozen=True)
class Device:
    """One device with its links. Bandwidths are bytes per second in one direction, memory bytes."""

    name: str
    title: str
    kind: str
    source: str
    memory_bytes: float = 0
    memory_bandwidth: float = 0
    link_bandwidth: float = 0  # to each neighbour of the same node
    per_node: int = 1
    network_bandwidth: float = 0  # to devices of other nodes
    watts: float | None = None
    flops: Mapping[str, float] = field(default_factory=dict)  # precision → operations per second
    why_not: str = ""  # why no such model runs on it at all

    def peak(self, precision: str) -> float | None:
        """Return operations per second; None where the maker gives none. float16 and bfloat16 stand for each other."""
        twin = {"bfloat16": "float16", "float16": "bfloat16"}.get(precision, "")
        return self.flops.get(precision) or self.flops.get(twin)


@functools.cache
def known() -> dict[str, Device]:
    """Return the devices of the data file by name."""
    record = json.loads(resources.files(__package__).joinpath("devices.json").read_text())
    return {name: _device(name, values) for name, values in record["devices"].items()}


def find(name: str) -> Device:
    """Return a device by name, `here` for this machine; raises InvalidInput for an unknown one."""
    if name == HERE:
        return here()
    if name not in known():
        near = get_close_matches(name, known(), n=1)
        guess = f"did you mean {near[0]}? " if near else ""
        raise InvalidInput(
            [f"no device {name!r}: {guess}known are {', '.join(known())}, and `{HERE}` for this machine"]
        )
    device = known()[name]
    if device.why_not:
        raise InvalidInput([f"{device.title}: {device.why_not}"])
    return device


def here() -> Device:
    """Return this machine as one thread of it; raises InvalidInput before `workbench doctor` has measured it."""
    import psutil

    found = ceilings.known()
    if found is None:
        raise InvalidInput(["this machine has not been measured yet"], next_move="workbench doctor")
    flops = {precision: found[f"{precision}_gflops"] * 1e9 for precision in ("float32", "bfloat16", "int8")}
    bandwidth = found["read_gb_per_s"] * 1e9
    return Device(
        HERE, "this machine, one thread", "CPU", "workbench doctor", psutil.virtual_memory().total, bandwidth,
        bandwidth, psutil.cpu_count(logical=False) or 1, 0.0, None, flops,
    )  # fmt: skip


def _device(name: str, values: Mapping[str, object]) -> Device:
    told = {key: values[key] for key in ("title", "kind", "source")}
    if "why_not" in values:
        return Device(name, **told, why_not=str(values["why_not"]))  # type: ignore[arg-type]
    giga = {
        "memory_bytes": "memory_gb", "memory_bandwidth": "memory_gb_per_s", "link_bandwidth": "link_gb_per_s",
        "network_bandwidth": "network_gb_per_s",
    }  # fmt: skip
    sizes = {mine: float(values[theirs]) * 1e9 for mine, theirs in giga.items()}  # type: ignore[arg-type]
    flops = {precision: value * 1e12 for precision, value in values["tflops"].items()}  # type: ignore[attr-defined]
    return Device(name, **told, **sizes, per_node=values["per_node"], watts=values["watts"], flops=flops)  # type: ignore[arg-type]
