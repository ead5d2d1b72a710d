"""A clock that only moves when a stub model or loader is called, so that a benchmark can be judged without waiting.

The stub has the faults of real machines. Which of them an answer falls for is found by taking faults away, the fewest first.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

from workbench.lessons.exercise import Finding

TRUE_MS, TOLERANCE = 2.0, 0.15
FAULTS = ("times_loading", "training_mode", "no_warm_up", "mean")
COLD_CALLS, COLD_FACTOR = 5, 25  # the first calls are so many times slower
SPIKE_EVERY, SPIKE_FACTOR = 8, 12  # and now and then one is
CLOCKS = {"perf_counter": 1.0, "monotonic": 1.0, "time": 1.0, "process_time": 1.0,
          "perf_counter_ns": 1e9, "monotonic_ns": 1e9, "time_ns": 1e9}  # fmt: skip


class Stub:
    """Model and loader in one: calling it is the model, `load` the loader; each moves the clock."""

    def __init__(self, faults: frozenset[str]) -> None:
        self.faults, self.seconds, self.calls, self.training = faults, 1000.0, 0, True

    def load(self) -> str:
        if "times_loading" in self.faults:
            self.seconds += 5e-3
        return "batch"

    def eval(self) -> Stub:
        self.training = False
        return self

    def train(self, mode: bool = True) -> Stub:
        self.training = mode
        return self

    def __call__(self, batch: Any) -> str:
        self.calls += 1
        factor = 1.0
        if self.training and "training_mode" in self.faults:
            factor *= 1.6
        if self.calls <= COLD_CALLS and "no_warm_up" in self.faults:
            factor *= COLD_FACTOR
        elif self.calls % SPIKE_EVERY == 0 and "mean" in self.faults:
            factor *= SPIKE_FACTOR
        self.seconds += 1e-3 * TRUE_MS * factor
        return "logits"


def check_benchmark(answer: Callable[[Any, Any], Any]) -> Finding:
    """Judge `answer(load, model) -> ms` against the stub's true milliseconds; deterministic, no time passes."""
    given = _measured(answer, frozenset(FAULTS))
    bars = (("latency_ms", max(0.0, given), f"{given:.3g} ms"), ("stub", TRUE_MS, f"{TRUE_MS:g} ms"))
    values = {"given": f"{given:.3g}", "true": f"{TRUE_MS:g}", "faults": ""}
    if _is_right(given):
        return Finding("ok", values=values, bars=bars)
    if _is_right(1000 * given):
        return Finding("try_again", "seconds", values, bars=bars)
    found = _faults_fallen_for(answer)
    if not found:
        return Finding("try_again", "", values | {"case": "stub", "num_right": 0, "num_cases": 1}, bars=bars)
    name = found[0] if len(found) == 1 else "several"
    return Finding("try_again", name, values | {"faults": ", ".join(found), "num": len(found)}, bars=bars)


def _faults_fallen_for(answer: Callable[[Any, Any], Any]) -> tuple[str, ...]:
    """Return the fewest faults without which the answer would be right; empty when it is wrong without any, too."""
    for count in range(1, len(FAULTS) + 1):
        for taken in itertools.combinations(FAULTS, count):
            if _is_right(_measured(answer, frozenset(FAULTS) - set(taken))):
                return taken
    return ()


def _measured(answer: Callable[[Any, Any], Any], faults: frozenset[str]) -> float:
    stub = Stub(faults)
    with _clock_of(stub, answer):
        return float(answer(stub.load, stub))


def _is_right(milliseconds: float) -> bool:
    return abs(milliseconds - TRUE_MS) <= TOLERANCE * TRUE_MS


@contextlib.contextmanager
def _clock_of(stub: Stub, answer: Callable[..., Any]) -> Iterator[None]:
    """Let every clock of `time` show the stub's, also where the answer has imported one by its name."""
    real = {name: getattr(time, name) for name in CLOCKS}
    fakes = {name: lambda scale=scale: stub.seconds * scale for name, scale in CLOCKS.items()}
    space = getattr(answer, "__globals__", {})
    own = {key: name for key, value in space.items() for name, clock in real.items() if value is clock}
    for name, fake in fakes.items():
        setattr(time, name, fake)
    space.update({key: fakes[name] for key, name in own.items()})
    try:
        yield
    finally:
        for name, clock in real.items():
            setattr(time, name, clock)
        space.update({key: real[name] for key, name in own.items()})
