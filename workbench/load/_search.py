"""Goes up with the rate until the server falls behind, halves the gap a few times, and says where it saturates."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson

from workbench.errors import InvalidInput
from workbench.load._open_loop import Refused, Step, at_rate
from workbench.load._target import Target
from workbench.nouns import SCHEMA
from workbench.store import disk_errors

if TYPE_CHECKING:
    import numpy as np

KIND = "workbench-load"
GROWTH, HALVINGS = 2.0, 3
FIRST_RATE, MAX_RATE = 20.0, 50_000.0
WARM_UP_REQUESTS = 20
MAX_CONNECTIONS = 900  # select() knows file numbers below 1,024


@dataclass(frozen=True)
class Settings:
    """How to ask. Without `rates` they are searched for."""

    rates: tuple[float, ...] = ()  # requests per second
    seconds: float = 5.0  # per rate
    connections: int = 64
    timeout: float = 10.0  # s, from when a request was due
    arrivals: Literal["poisson", "even"] = "poisson"
    seed: int = 0

    def __post_init__(self) -> None:
        problems = [
            f"rate {rate:g}: above 0, at most {MAX_RATE:,.0f} per second"
            for rate in self.rates
            if not 0 < rate <= MAX_RATE
        ]
        problems += [] if 0 < self.seconds <= 3600 else [f"{self.seconds:g} seconds: above 0, at most an hour"]
        problems += (
            []
            if 1 <= self.connections <= MAX_CONNECTIONS
            else [f"{self.connections} connections: 1 to {MAX_CONNECTIONS}"]
        )
        problems += [] if self.timeout > 0 else [f"a timeout of {self.timeout:g} s"]
        if problems:
            raise InvalidInput(problems)


@dataclass(frozen=True)
class Tested:
    """The steps by rising rate, and the saturation point; `saturation` is a lower bound when no rate was too much."""

    url: str
    model: str
    settings: Settings
    steps: tuple[Step, ...]

    @property
    def saturation(self) -> float | None:
        """The highest rate that was kept up with, below the first that wasn't; None = even the lowest was too much."""
        return saturation((step.rate, step.keeps_up) for step in self.steps)[0]

    @property
    def first_too_much(self) -> float | None:
        """The lowest rate that the server fell behind at; None = at none that was tried."""
        return saturation((step.rate, step.keeps_up) for step in self.steps)[1]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, without single samples."""
        from dataclasses import asdict

        steps = [step_record(step) for step in self.steps]
        return {
            "schema": SCHEMA, "kind": KIND, "url": self.url, "model": self.model, "settings": asdict(self.settings), "steps": steps,
            "saturation": self.saturation, "first_too_much": self.first_too_much,
        }  # fmt: skip

    def write(self, path: Path) -> None:
        with disk_errors(path):
            path.write_bytes(orjson.dumps(self.to_json(), option=orjson.OPT_INDENT_2))


def saturation(kept_up: Iterable[tuple[float, bool]]) -> tuple[float | None, float | None]:
    """Return the highest rate that was kept up with below the lowest that wasn't, and that one; None = there is no such rate."""
    rates = list(kept_up)
    too_much = min((rate for rate, good in rates if not good), default=None)
    return max((rate for rate, good in rates if good and (too_much is None or rate < too_much)), default=None), too_much


def step_record(step: Step) -> dict[str, Any]:
    """Return a step's figures without its single samples."""
    return {key: value for key, value in vars(step).items() if key not in ("latencies_ms", "service_ms")}


def measure_load(target: Target, settings: Settings, *, say: Callable[[Step], None] = lambda _: None) -> Tested:
    """Ask at each rate, telling every step as it is done; takes an event loop of its own, so call it from none.

    Raises WorkbenchError when the server doesn't answer at all.
    """
    # epoll rounds a wait up to a whole millisecond, which would be told as the server's.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        return runner.run(_tested(target, settings, say))


async def _tested(target: Target, settings: Settings, say: Callable[[Step], None]) -> Tested:
    steps: dict[float, Step] = {}
    async with target.opened(settings.connections) as ask:
        for _ in range(WARM_UP_REQUESTS):
            with contextlib.suppress(OSError, Refused):  # whether it fails now and then is what the steps count
                await ask()
        rates = iter(settings.rates) if settings.rates else _searching(steps)
        for number, rate in enumerate(rates):
            due = due_times(rate, settings.seconds, arrivals=settings.arrivals, seed=settings.seed + number)
            step = await at_rate(ask, due, rate=rate, connections=settings.connections, timeout=settings.timeout)
            steps[rate] = step
            say(step)
    return Tested(target.url, target.model, settings, tuple(steps[rate] for rate in sorted(steps)))


def _searching(steps: dict[float, Step]) -> Iterator[float]:
    """Yield rates: twice as much each time until one is too much, then between the last good and the first bad."""
    rate, good = FIRST_RATE, 0.0
    while rate <= MAX_RATE:
        yield rate
        if not steps[rate].keeps_up:
            break
        good, rate = rate, rate * GROWTH
    else:
        return
    bad = rate
    for _ in range(HALVINGS):
        middle = float(f"{(good + bad) / 2:.3g}")
        yield middle
        good, bad = (middle, bad) if steps[middle].keeps_up else (good, middle)


def due_times(rate: float, seconds: float, *, arrivals: str, seed: int) -> np.ndarray:
    """Return ascending times in seconds: independent arrivals (exponential gaps), or evenly spaced ones."""
    import numpy as np

    count = max(1, round(rate * seconds))
    if arrivals == "even":
        return np.arange(1, count + 1) / rate
    gaps = np.random.default_rng(seed).exponential(1 / rate, count)
    return np.cumsum(gaps * (count / rate / gaps.sum()))
