"""Lesson 09: serve it. Latency counts from when an answer was due, the tail is what people remember, batches make room."""

from __future__ import annotations

from typing import Any

from workbench.lessons import _queue_replay
from workbench.lessons.exercise import Exercise, Finding, Lesson, Question

BUDGET_MS, MOST_BATCH = 26.0, 64


def _latencies(lines: str) -> str:
    head = "import math\n\n\ndef latencies_ms(due, sent, done):\n"
    return head + "".join(f"    {line}\n" for line in lines.splitlines())


LATENCIES = Exercise(
    id="09.1",
    answer="latencies_ms",
    starter='''import math


def latencies_ms(due, sent, done):
    """Return the latency of each request in ms. All times are in s; `done` is None where no answer came."""
    return [1000 * (end - begin) for begin, end in zip(sent, done) if end is not None]
''',
    solution='''import math


def latencies_ms(due, sent, done):
    """Return the latency of each request in ms. All times are in s; `done` is None where no answer came."""
    return [math.inf if end is None else 1000 * (end - when) for when, end in zip(due, done)]
''',
    wrong={
        "from_sent": _latencies(
            "return [math.inf if end is None else 1000 * (end - begin) for begin, end in zip(sent, done)]"
        ),
        "drops_failed": _latencies("return [1000 * (end - when) for when, end in zip(due, done) if end is not None]"),
        "failed_is_fast": _latencies(
            "return [0.0 if end is None else 1000 * (end - when) for when, end in zip(due, done)]"
        ),
        "waiting_only": _latencies("return [1000 * (begin - when) for when, begin in zip(due, sent)]"),
        "seconds": _latencies("return [math.inf if end is None else end - when for when, end in zip(due, done)]"),
    },
    cases={
        "no stall": lambda: ([0.0, 0.1, 0.2], [0.0, 0.1, 0.2], [0.01, 0.11, 0.21]),
        "a stall of 1 s": lambda: ([0.0, 0.1, 0.2, 0.3], [0.0, 1.0, 1.01, 1.02], [1.0, 1.01, 1.02, 1.03]),
        "one without an answer": lambda: ([0.0, 0.1, 0.2], [0.0, 0.1, 0.25], [0.02, None, 0.27]),
    },
    minutes=7,
    is_bug=True,
)


def _percentile(lines: str) -> str:
    head = "import math\nimport statistics\n\n\ndef percentile(latencies, share):\n"
    return head + "".join(f"    {line}\n" for line in lines.splitlines())


def _steps(count: int, slow: int = 0) -> list[float]:
    """Return latencies of 10 ms to 20 ms out of order, the last `slow` of them a second."""
    found = [10 + 10 * (37 * index % count) / count for index in range(count)]
    return [*found[: count - slow], *([1000.0] * slow)]


FEW = "if len(latencies) * (100 - share) < 100:\n    return None\n"
PERCENTILE = Exercise(
    id="09.2",
    answer="percentile",
    starter='''import math


def percentile(latencies, share):
    """Return the smallest latency that at least `share` % of all don't exceed; None when less than 1 sample lies beyond."""
    ...
''',
    solution='''import math


def percentile(latencies, share):
    """Return the smallest latency that at least `share` % of all don't exceed; None when less than 1 sample lies beyond."""
    if len(latencies) * (100 - share) < 100:
        return None
    return sorted(latencies)[math.ceil(len(latencies) * share / 100) - 1]
''',
    wrong={
        "unsorted": _percentile(f"{FEW}return latencies[math.ceil(len(latencies) * share / 100) - 1]"),
        "one_too_high": _percentile(f"{FEW}return sorted(latencies)[math.ceil(len(latencies) * share / 100)]"),
        "of_few": _percentile("return sorted(latencies)[math.ceil(len(latencies) * share / 100) - 1]"),
        "largest": _percentile(f"{FEW}return max(latencies)"),
        "mean": _percentile(f"{FEW}return statistics.mean(latencies)"),
        "of_the_largest": _percentile(f"{FEW}return max(latencies) * share / 100"),
    },
    cases={
        "200 samples, p50": lambda: (_steps(200), 50),
        "1,000 samples, p99, 5 slow": lambda: (_steps(1000, slow=5), 99),
        "1,000 samples, p99, 20 slow": lambda: (_steps(1000, slow=20), 99),
        "40 samples, p99": lambda: (_steps(40), 99),
    },
    minutes=6,
)


def _check_settings(answer: Any) -> Finding:
    """Judge how a server gathers batches by a replay of the same arrivals."""
    given = {"given": str(answer)[:60], "budget": f"{BUDGET_MS:g}", "most": MOST_BATCH}
    if not _are_settings(answer):
        return Finding("try_again", "no_settings", given)
    max_batch, wait_ms = answer["max_batch"], float(answer["wait_ms"])
    p99 = {wait: _queue_replay.p99_ms(max_batch, wait) for wait in (0.0, wait_ms)}
    bars = (("p99", p99[wait_ms], f"{p99[wait_ms]:,.1f} ms"), ("budget", BUDGET_MS, f"{BUDGET_MS:g} ms"))
    values = given | {"p99": f"{p99[wait_ms]:,.1f}", "unwaited": f"{p99[0.0]:,.1f}", "max_batch": max_batch}
    if p99[wait_ms] <= BUDGET_MS:
        return Finding("ok", values=values, bars=bars)
    name = "alone" if max_batch == 1 else "waits" if p99[0.0] <= BUDGET_MS else "small_batch"
    return Finding("try_again", name, values, bars=bars)


def _are_settings(answer: Any) -> bool:
    if not isinstance(answer, dict) or set(answer) != {"max_batch", "wait_ms"}:
        return False
    batch, wait = answer["max_batch"], answer["wait_ms"]
    return type(batch) is int and 1 <= batch <= MOST_BATCH and type(wait) in (int, float) and 0 <= wait <= 1000


BATCHING = Exercise(
    id="09.3",
    answer="settings",
    starter="settings = ...  # a dictionary with max_batch and wait_ms\n",
    solution='settings = {"max_batch": 16, "wait_ms": 0}\n',
    wrong={
        "alone": 'settings = {"max_batch": 1, "wait_ms": 0}\n',
        "small_batch": 'settings = {"max_batch": 3, "wait_ms": 0}\n',
        "waits": 'settings = {"max_batch": 32, "wait_ms": 50}\n',
        "no_settings": 'settings = {"batch": 8}\n',
    },
    check=_check_settings,
    minutes=6,
)


def _fan_out(expression: str) -> str:
    return f"def some_slow(share_slow, num_servers):\n    return {expression}\n"


FAN_OUT = Exercise(
    id="09.4",
    answer="some_slow",
    starter='''def some_slow(share_slow, num_servers):
    """Return the share of pages that wait for a slow answer, when each asks `num_servers` and `share_slow` of answers are slow."""
    ...
''',
    solution='''def some_slow(share_slow, num_servers):
    """Return the share of pages that wait for a slow answer, when each asks `num_servers` and `share_slow` of answers are slow."""
    return 1 - (1 - share_slow) ** num_servers
''',
    wrong={
        "adds_up": _fan_out("share_slow * num_servers"),
        "adds_up_to_one": _fan_out("min(1.0, share_slow * num_servers)"),
        "all_slow": _fan_out("share_slow**num_servers"),
        "none_slow": _fan_out("(1 - share_slow) ** num_servers"),
        "as_one": _fan_out("share_slow"),
    },
    cases={
        "1 %, 1 server": lambda: (0.01, 1),
        "1 %, 100 servers": lambda: (0.01, 100),
        "5 %, 40 servers": lambda: (0.05, 40),
        "0.01 %, 2,000 servers": lambda: (0.0001, 2000),
    },
    minutes=4,
    is_bonus=True,
)

LESSON = Lesson(
    number="09",
    name="serve_it",
    minutes=40,
    run_seconds=100,
    exercises=(LATENCIES, PERCENTILE, BATCHING, FAN_OUT),
    questions=(
        Question("09.p1", "number", 98, unit="%"),
        Question("09.p2", "choice", "more", choices=("same", "twice", "more"), limits=(1.25, 3.0)),
        Question(
            "09.d1",
            "decision",
            {"run_at": "half", "watch": "p99"},
            fields={"run_at": ("half", "most", "limit"), "watch": ("mean", "p99", "errors")},
        ),
    ),
    fast={"epochs": 4, "rates": [40.0, 60.0], "seconds": 1.0},
)
