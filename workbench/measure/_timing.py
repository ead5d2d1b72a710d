"""Runs inside fresh processes: imports only what opening an artifact needs, and numpy."""

from __future__ import annotations

import gc
import math
import resource
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

SAMPLE_SECONDS = 0.001  # shorter samples drown in the clock and the scheduler
WARM_UP_SECONDS = 0.05


def inputs_from(probe: str, batch: int) -> dict[str, np.ndarray]:
    """Return a batch of real inputs, the probe's examples repeated to the wanted size."""
    with np.load(probe) as arrays:
        found = {name.removeprefix("input_"): arrays[name] for name in arrays.files if name.startswith("input_")}
    return {name: np.ascontiguousarray(np.resize(array, (batch, *array.shape[1:]))) for name, array in found.items()}


def interleaved(
    sessions: list[Callable[[], Any]], *, probe: str, batch: int, pairs: int, singles: int
) -> Generator[None, None, dict[str, Any]]:
    """Open all variants, yield, and time them alternately when told.

    Returns samples_ms (variants × pairs), single_ms of the first variant, calls per sample of each.
    """
    inputs = inputs_from(probe, batch)
    opened = [open_session() for open_session in sessions]
    for session in opened:
        session(inputs)
    yield
    calls = [calls_per_sample(session, inputs) for session in opened]
    gc.collect()
    gc.disable()
    samples = np.empty((len(opened), pairs))
    for pair in range(pairs):
        order = range(len(opened)) if pair % 2 == 0 else reversed(range(len(opened)))
        for variant in order:
            samples[variant, pair] = sample(opened[variant], inputs, calls[variant])
    single = time_singles(opened[0], inputs, singles)
    return {"samples_ms": (samples * 1e3).tolist(), "single_ms": (single * 1e3).tolist(), "calls": calls}


def calls_per_sample(session: Any, inputs: Mapping[str, np.ndarray]) -> int:
    """Warm up, and return how many calls fill one sample."""
    took: list[float] = []
    started = time.perf_counter()
    while len(took) < 5 or time.perf_counter() - started < WARM_UP_SECONDS:
        before = time.perf_counter()
        session(inputs)
        took.append(time.perf_counter() - before)
    return max(1, math.ceil(SAMPLE_SECONDS / float(np.median(took))))


def sample(session: Any, inputs: Mapping[str, np.ndarray], calls: int) -> float:
    """Return the mean seconds of one call over `calls` calls."""
    before = time.perf_counter()
    for _ in range(calls):
        session(inputs)
    return (time.perf_counter() - before) / calls


def time_singles(session: Any, inputs: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    """Return the seconds of `count` single calls."""
    single = np.empty(count)
    for index in range(count):
        single[index] = sample(session, inputs, 1)
    return single


def peak_memory(sessions: list[Callable[[], Any]], *, probe: str, batch: int) -> dict[str, int]:
    """Return peak bytes of this process after predicting, and how much of it opening and predicting added."""
    inputs = inputs_from(probe, batch)
    before = high_water_bytes()
    session = sessions[0]()
    for _ in range(3):
        session(inputs)
    peak = high_water_bytes()
    return {"peak": peak, "model": peak - before}


def high_water_bytes() -> int:
    """Return the peak resident size of this process since its start."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
