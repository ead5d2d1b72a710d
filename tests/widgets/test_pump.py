"""The pump does everything on one thread, in order, and outlives what goes wrong."""

from __future__ import annotations

import threading
import time

import pytest

from widgets.pump import Pump, words_of
from workbench.errors import InvalidInput


def wait_for(condition, seconds: float = 5.0) -> None:  # noqa: ANN001
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.005)


@pytest.fixture
def pump():  # noqa: ANN201
    told: list[Exception] = []
    made = Pump(on_error=told.append)
    made.told = told
    yield made.start()
    made.stop()


def test_it_all_happens_on_one_thread_in_the_order_asked(pump: Pump) -> None:
    seen: list[tuple[int, str]] = []
    for number in range(50):
        pump.do(lambda number=number: seen.append((number, threading.current_thread().name)))
    wait_for(lambda: len(seen) == 50)
    assert [number for number, _ in seen] == list(range(50))
    assert {name for _, name in seen} == {"workbench-pump"}


def test_of_many_words_under_one_key_the_last_counts() -> None:
    pump, seen = Pump(), []
    for number in range(9):
        pump.do(seen.append, number, key="slider")
        pump.do(seen.append, -1)
    pump.drain()
    assert seen.count(8) == 1 and [each for each in seen if each >= 0] == [8]
    assert seen.count(-1) == 9


def test_asking_never_waits_for_what_is_being_done(pump: Pump) -> None:
    let_go = threading.Event()
    pump.do(let_go.wait)
    began = time.monotonic()
    for _ in range(1000):
        pump.do(lambda: None, key="same")
    assert time.monotonic() - began < 1.0
    let_go.set()


def test_an_error_is_told_and_the_next_word_is_still_done(pump: Pump) -> None:
    seen: list[int] = []
    pump.do(lambda: 1 / 0)
    pump.do(seen.append, 1)
    wait_for(lambda: seen == [1])
    assert [type(error) for error in pump.told] == [ZeroDivisionError]


def test_slow_work_is_done_aside_and_its_value_comes_back_on_the_pump(pump: Pump) -> None:
    seen: list[tuple[int, str, str]] = []
    aside: list[str] = []
    quick: list[float] = []
    let_go = threading.Event()

    def work() -> int:
        aside.append(threading.current_thread().name)
        let_go.wait(5)
        return 7

    pump.later(work, lambda value: seen.append((value, aside[0], threading.current_thread().name)))
    pump.do(lambda: quick.append(time.monotonic()))
    wait_for(lambda: bool(quick))
    assert not seen, "the pump waited for slow work"
    let_go.set()
    wait_for(lambda: bool(seen))
    assert seen[0][0] == 7 and seen[0][1] != "workbench-pump" and seen[0][2] == "workbench-pump"


def test_what_goes_wrong_aside_is_told_too(pump: Pump) -> None:
    def fails() -> None:
        raise InvalidInput(["no such folder"])

    pump.later(fails, lambda value: None)
    wait_for(lambda: bool(pump.told))
    assert words_of(pump.told[0]) == "no such folder"


def test_it_looks_again_and_again_until_it_is_stopped() -> None:
    pump, seen = Pump(), []
    pump.every(0.01, lambda: seen.append(1))
    pump.start()
    wait_for(lambda: len(seen) > 3)
    pump.stop()
    time.sleep(0.05)
    count = len(seen)
    time.sleep(0.1)
    assert len(seen) == count


def test_without_a_listener_errors_reach_whoever_drains() -> None:
    pump = Pump()
    pump.do(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pump.drain()
    assert words_of(KeyError("x")).startswith("a fault of the workbench: KeyError")


def test_what_waits_for_rest_is_done_once_after_the_last_word(pump: Pump) -> None:
    seen: list[tuple[int, float]] = []
    began = time.monotonic()
    for number in range(5):
        pump.rested(0.2, lambda number=number: seen.append((number, time.monotonic() - began)), key="slider")
        time.sleep(0.05)
    wait_for(lambda: seen)
    time.sleep(0.3)
    assert [number for number, _ in seen] == [4] and seen[0][1] >= 0.4


def test_draining_does_not_wait_for_rest() -> None:
    pump, seen = Pump(), []
    pump.rested(60, seen.append, 1, key="slider")
    pump.drain()
    assert seen == [1]
