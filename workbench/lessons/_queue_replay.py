"""Replays a server that answers requests in batches: the same arrivals for every setting, no time passes."""

from __future__ import annotations

import math
import random

RATE = 200.0  # requests per second, independent of each other
NUM_REQUESTS = 4000
FIXED_MS, EACH_MS = 8.0, 1.0  # what a batch takes, and each request in it


def arrivals_ms() -> list[float]:
    """Return when each request arrives: exponential gaps, the same at every call."""
    source, now, found = random.Random(0), 0.0, []
    for _ in range(NUM_REQUESTS):
        now += 1e3 * source.expovariate(RATE)
        found.append(now)
    return found


def latencies_ms(max_batch: int, wait_ms: float) -> list[float]:
    """Return each request's ms from its arrival to its answer.

    A batch begins when the server is free and either `max_batch` requests wait or the oldest has waited `wait_ms`; it takes
    whatever is there at that moment, at most `max_batch`.
    """
    arrivals, free, first, found = arrivals_ms(), 0.0, 0, list[float]()
    while first < len(arrivals):
        full = arrivals[first + max_batch - 1] if first + max_batch <= len(arrivals) else math.inf
        begins = max(free, min(full, arrivals[first] + wait_ms))
        last = first
        while last < len(arrivals) and last - first < max_batch and arrivals[last] <= begins:
            last += 1
        free = begins + FIXED_MS + EACH_MS * (last - first)
        found += [free - arrival for arrival in arrivals[first:last]]
        first = last
    return found


def p99_ms(max_batch: int, wait_ms: float) -> float:
    """Return the 99th percentile of the latencies, one that occurred."""
    return sorted(latencies_ms(max_batch, wait_ms))[math.ceil(0.99 * NUM_REQUESTS) - 1]
