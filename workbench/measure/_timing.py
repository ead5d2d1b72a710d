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

SAMPLE_SECONDS = 0.001  # shorter means drown in the clock and the scheduler
BURST_SECONDS = 0.0001  # long against the clock, short against a time slice of the scheduler
BURSTS, BURSTS_SECONDS = 6, 0.006  # of one sample: so many at most, and so long that slow models don't take minutes
WARM_UP_SECONDS = 0.05


def inputs_from(probe: str, batch: int) -> dict[str, np.ndarray]:
    """Return a batch of real inputs, the probe's examples repeated to the wanted size."""
    with np.load(probe) as arrays:
        found = {name.removeprefix("input_"): arrays[name] for name in arrays.files if name.startswith("input_")}
    return {name: np.ascontiguousarray(np.resize(array, (batch, *array.shape[1:]))) for name, array in found.items()}


def interleaved(
    sessions: list[Callable[[], Any]], *, probe: str, batch: int, pairs: int, singles: int, turn: int = 0
) -> Generator[None, None, dict[str, Any]]:
    """Open all variants, yield, and time them alternately when told.

    `turn` counts the processes of one measurement: what is opened first lies elsewhere in memory and takes 0.1 to 0.2 %
    longer (seen), so each process begins with another variant.
    Returns samples_ms (variants × pairs), single_ms of the first variant, calls per sample of each, bursts per sample.
    """
    inputs = inputs_from(probe, batch)
    opened: list[Any] = [None] * len(sessions)
    for place in range(turn, turn + len(sessions)):
        opened[place % len(sessions)] = sessions[place % len(sessions)]()
        opened[place % len(sessions)](inputs)
    yield
    took = [warm_up(session, inputs) for session in opened]
    calls = [math.ceil(BURST_SECONDS / seconds) for seconds in took]
    longest = max(count * seconds for count, seconds in zip(calls, took))
    bursts = min(BURSTS, max(1, int(BURSTS_SECONDS / longest)))  # one number for all: a minimum of more is lower
    gc.collect()
    gc.disable()
    samples = np.empty((len(opened), pairs))
    for pair in range(pairs):
        order = range(len(opened)) if pair % 2 == 0 else reversed(range(len(opened)))
        for variant in order:
            samples[variant, pair] = least_disturbed(opened[variant], inputs, calls[variant], bursts)
    single = time_singles(opened[0], inputs, singles)
    return {
        "samples_ms": (samples * 1e3).tolist(),
        "single_ms": (single * 1e3).tolist(),
        "calls": [count * bursts for count in calls],
        "bursts": bursts,
    }


def calls_per_sample(session: Any, inputs: Mapping[str, np.ndarray]) -> int:
    """Warm up, and return how many calls fill the mean of one sample."""
    return math.ceil(SAMPLE_SECONDS / warm_up(session, inputs))


def warm_up(session: Any, inputs: Mapping[str, np.ndarray]) -> float:
    """Call until nothing is done for the first time any more; return the median seconds of a call."""
    took: list[float] = []
    started = time.perf_counter()
    while len(took) < 5 or time.perf_counter() - started < WARM_UP_SECONDS:
        before = time.perf_counter()
        session(inputs)
        took.append(time.perf_counter() - before)
    return float(np.median(took))


def least_disturbed(session: Any, inputs: Mapping[str, np.ndarray], calls: int, bursts: int) -> float:
    """Return the seconds of one call in the fastest of some bursts of calls: whatever else runs only adds."""
    return min(sample(session, inputs, calls) for _ in range(bursts))


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
