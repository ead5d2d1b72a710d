"""Sends requests at one rate, each at its own time, and says what came of them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

MAY_GROW = 0.05  # of what was due in the second half: what is under way may grow by that much
PERCENTILES = (50.0, 95.0, 99.0, 99.9)
SAMPLES_BEYOND = 1  # that a percentile needs beyond it, or it would be an extreme of few


@dataclass(frozen=True)
class Step:
    """What happened at one rate. Times are ms from when a request was due; failed ones count as longer than any."""

    rate: float  # requests due per second
    seconds: float  # in which they were due
    answered_rate: float  # answers per second in the second half
    num_due: int
    num_failed: int
    percentiles_ms: dict[str, float | None]  # p50, p95, p99, p99.9; None = too few samples, or as many failed
    max_ms: float | None  # of those answered; None = none was
    own_delay_p99_ms: float  # how late this client itself was: what is not the server's
    own_cpu: float  # share of a core that this client took
    latencies_ms: np.ndarray = field(repr=False, compare=False)  # (due,), inf where it failed
    service_ms: np.ndarray = field(
        repr=False, compare=False
    )  # the same from when it was really sent: what a closed loop sees
    failures: dict[str, int] = field(default_factory=dict)  # by reason

    keeps_up: bool = True  # nothing failed, and what was under way did not grow


async def at_rate(
    ask: Callable[[], Awaitable[None]], due: np.ndarray, *, rate: float, connections: int, timeout: float
) -> Step:
    """Send one request at each of the times in `due` (ascending, s); at most `connections` are under way, others wait.

    `ask` raises for an answer that is none. `timeout` (s) counts from when a request was due.
    """
    import numpy as np

    loop, free = asyncio.get_running_loop(), asyncio.Semaphore(connections)
    ready, sent, done = (np.full(due.size, np.inf) for _ in range(3))
    failures: dict[str, int] = {}
    tasks: list[asyncio.Task[None]] = []
    began_cpu, began = time.process_time(), loop.time() + 0.02

    async def one(index: int) -> None:
        ready[index] = loop.time() - began
        try:
            async with asyncio.timeout_at(began + due[index] + timeout):
                async with free:
                    sent[index] = loop.time() - began
                    await ask()
            done[index] = loop.time() - began
        except (OSError, TimeoutError, Refused) as error:
            reason = str(error) if isinstance(error, Refused) else f"{type(error).__name__}"
            failures[reason] = failures.get(reason, 0) + 1

    def begin(index: int) -> None:
        tasks.append(loop.create_task(one(index)))

    for index, when in enumerate(due):
        loop.call_at(began + when, begin, index)
    await asyncio.sleep(began - loop.time() + float(due[-1]) + 0.001)
    while len(tasks) < due.size:
        await asyncio.sleep(0.001)
    await asyncio.gather(*tasks)
    wall = loop.time() - began
    own_cpu = (time.process_time() - began_cpu) / wall
    return _step(due, ready, sent, done, rate=rate, own_cpu=own_cpu, failures=failures)


class Refused(Exception):
    """The server answered, with something else than a prediction."""


def _step(
    due: np.ndarray,
    ready: np.ndarray,
    sent: np.ndarray,
    done: np.ndarray,
    *,
    rate: float,
    own_cpu: float,
    failures: dict[str, int],
) -> Step:
    import numpy as np

    answered, end = np.isfinite(done), float(due[-1])
    latencies = np.where(answered, (done - due) * 1e3, np.inf)
    before, after = (_under_way(due, done, end * start, end * (start + 0.25)) for start in (0.25, 0.75))
    allowed = max(MAY_GROW * int((due > end / 2).sum()), 3 * (1 + before) ** 0.5)  # independent arrivals bunch
    return Step(
        rate=rate, seconds=end, answered_rate=float(((done > end / 2) & (done <= end)).sum() / (end / 2)),
        num_due=due.size, num_failed=int((~answered).sum()), max_ms=float(latencies[answered].max()) if answered.any() else None,
        percentiles_ms={_name(share): _percentile(latencies, share) for share in PERCENTILES},
        own_delay_p99_ms=float(np.percentile((ready - due) * 1e3, 99)), own_cpu=own_cpu, latencies_ms=latencies,
        service_ms=np.where(answered, (done - np.where(answered, sent, 0.0)) * 1e3, np.inf), failures=dict(failures),
        keeps_up=bool(answered.all()) and after - before <= allowed,
    )  # fmt: skip


def _name(share: float) -> str:
    return f"p{share:g}"


def _percentile(latencies: np.ndarray, share: float) -> float | None:
    """Return the smallest latency that `share` per cent did not exceed: always one that was measured."""
    import numpy as np

    if round(latencies.size * (100 - share), 6) < 100 * SAMPLES_BEYOND:
        return None
    value = float(np.sort(latencies)[math.ceil(round(latencies.size * share / 100, 6)) - 1])
    return value if np.isfinite(value) else None


def _under_way(due: np.ndarray, done: np.ndarray, start: float, end: float) -> float:
    """Return how many requests were due and not answered between two times, as a median: one stall moves it little."""
    import numpy as np

    moments, ended = np.linspace(start, end, 101), np.sort(done)
    return float(np.median(np.searchsorted(due, moments, "right") - np.searchsorted(ended, moments, "right")))
