"""Samples of interleaved timing, with a clock that is turned by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.measure import _timing


class Clock:
    """Stands for the time module: calls turn it, nothing else does."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_timing, "time", clock)
    return clock


@pytest.fixture
def probe(tmp_path: Path) -> str:
    np.savez(tmp_path / "probe.npz", input_x=np.zeros((2, 3), np.float32))
    return str(tmp_path / "probe.npz")


def variant(clock: Clock, seconds: float, *, extra: Iterator[float] | None = None) -> Callable[[], Any]:
    """Return an opener of a session whose call takes `seconds`, and the next of `extra` more."""

    def session(inputs: Any) -> None:
        clock.now += seconds + (next(extra) if extra else 0.0)

    return lambda: session


def carry_through(sessions: list[Callable[[], Any]], probe: str, **options: Any) -> dict[str, Any]:
    """Run the generator as a fresh process does."""
    prepared = _timing.interleaved(sessions, probe=probe, batch=1, pairs=10, singles=5, **options)
    next(prepared)
    with pytest.raises(StopIteration) as ended:
        next(prepared)
    return ended.value.value


def test_what_interrupts_some_calls_enters_no_sample(clock: Clock, probe: str) -> None:
    """Every 40th call loses a time slice of 3 ms."""
    disturbed = variant(clock, 30e-6, extra=itertools.cycle([0.003] + [0.0] * 39))
    told = carry_through([disturbed, variant(clock, 30e-6)], probe)
    this, other = told["samples_ms"]
    assert this == pytest.approx([0.03] * 10)
    assert other == pytest.approx([0.03] * 10)


def test_all_variants_get_as_many_bursts(clock: Clock, probe: str) -> None:
    """The shortest of more would be shorter; 1.9 ms is too long for six."""
    told = carry_through([variant(clock, 9e-6), variant(clock, 1.9e-3)], probe)
    assert told["bursts"] == 3
    assert told["calls"] == [3 * 12, 3 * 1]


def test_a_slow_call_is_one_burst(clock: Clock, probe: str) -> None:
    assert carry_through([variant(clock, 0.05)], probe)["calls"] == [1]


@pytest.mark.parametrize(("turn", "order"), [(0, [0, 1, 2]), (1, [1, 2, 0]), (5, [2, 0, 1])])
def test_each_process_opens_another_variant_first(clock: Clock, probe: str, turn: int, order: list[int]) -> None:
    seen: list[int] = []

    def opener(index: int) -> Callable[[], Any]:
        return lambda: seen.append(index) or variant(clock, 1e-4 * (index + 1))()

    told = carry_through([opener(index) for index in range(3)], probe, turn=turn)
    assert seen == order
    assert [samples[0] for samples in told["samples_ms"]] == pytest.approx([0.1, 0.2, 0.3]), "in the order given"
