"""Lesson 07: data parallel training. Who sends what, what is averaged, and when more processes are slower."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workbench.lessons.exercise import Exercise, Finding, Lesson, Question

if TYPE_CHECKING:
    import torch

# Seconds of the whole job below, start to saved file, recorded 2026-12-01 on 2 cores that others used too (load 7).
RECORDED_SECONDS = {1: 6.2, 2: 73.4}
MOST_RANKS = 5


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    import torch

    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


Schedule = Callable[[int, int, int], int]
KNOWN: dict[str, Schedule] = {
    "always_own": lambda rank, step, ranks: rank,
    "same_for_all": lambda rank, step, ranks: step % ranks,
    "wrong_way": lambda rank, step, ranks: (rank + step) % ranks,
    "no_wrap": lambda rank, step, ranks: rank - step,
}


def _ring(answer: Schedule, ranks: int) -> list[list[int]]:
    """Reduce-scatter on a ring: who sends which chunk; returns for rank and chunk how many ranks' numbers it holds.

    Raises IndexError for a chunk that isn't there.
    """
    held = [[{rank} for _ in range(ranks)] for rank in range(ranks)]
    for step in range(ranks - 1):
        sent = []
        for rank in range(ranks):
            chunk = answer(rank, step, ranks)
            if not isinstance(chunk, int) or not 0 <= chunk < ranks:
                raise IndexError(f"rank {rank} of {ranks} sends chunk {chunk!r} at step {step}")
            sent.append((chunk, set(held[rank][chunk])))
        for rank, (chunk, whose) in enumerate(sent):
            mine = held[(rank + 1) % ranks][chunk]
            mine |= whose
    return [[len(whose) for whose in chunks] for chunks in held]


def _check_ring(answer: Any) -> Finding:
    """Judge a schedule by what each rank holds afterwards: every chunk is complete somewhere, each rank has one."""
    rows = []
    for ranks in range(2, MOST_RANKS + 1):
        try:
            held = _ring(answer, ranks)
        except IndexError as error:
            rows.append((f"{ranks} ranks", str(error), False))
            continue
        complete = [sum(chunks[chunk] == ranks for chunks in held) for chunk in range(ranks)]
        full = sum(count > 0 for count in complete)
        rows.append((f"{ranks} ranks", f"{full} of {ranks} chunks complete", full == ranks))
    if all(good for _, _, good in rows):
        return Finding("ok", rows=tuple(rows))
    first = next(row for row in rows if not row[2])
    values = {"case": first[0], "given": first[1], "num_right": sum(row[2] for row in rows), "num_cases": len(rows)}
    return Finding("try_again", _schedule_of(answer), values, tuple(rows))


def _schedule_of(answer: Any) -> str:
    """Return the known wrong schedule that an answer is, empty for another."""
    everywhere = [(rank, step, ranks) for ranks in range(2, 6) for rank in range(ranks) for step in range(ranks - 1)]
    for name, wrong in KNOWN.items():
        if all(answer(*place) == wrong(*place) for place in everywhere):
            return name
    return ""


RING = Exercise(
    id="07.1",
    answer="chunk_to_send",
    starter='''def chunk_to_send(rank, step, ranks):
    """Return the number of the chunk that `rank` sends to its right neighbour at `step` (0 … ranks − 2)."""
    ...
''',
    solution='''def chunk_to_send(rank, step, ranks):
    """Return the number of the chunk that `rank` sends to its right neighbour at `step` (0 … ranks − 2)."""
    return (rank - step) % ranks
''',
    wrong={
        "always_own": "def chunk_to_send(rank, step, ranks):\n    return rank\n",
        "same_for_all": "def chunk_to_send(rank, step, ranks):\n    return step % ranks\n",
        "wrong_way": "def chunk_to_send(rank, step, ranks):\n    return (rank + step) % ranks\n",
        "no_wrap": "def chunk_to_send(rank, step, ranks):\n    return rank - step\n",
    },
    check=_check_ring,
    minutes=10,
)


def _step(lines: str) -> str:
    head = "def after_update(weights, gradients, rate):\n"
    return head + "".join(f"    {line}\n" for line in lines.splitlines())


def _ranks(count: int, seed: int) -> tuple[Any, ...]:
    """Return equal weights on every rank, a gradient of its own on each, and a learning rate."""
    weight = _random(3, seed=seed)
    return [weight.clone() for _ in range(count)], [_random(3, seed=seed + 1 + rank) for rank in range(count)], 0.1


AVERAGE = Exercise(
    id="07.2",
    answer="after_update",
    starter='''def after_update(weights, gradients, rate):
    """Return the weights of every rank after one step; each rank has a gradient of its own piece of the batch."""
    return [weight - rate * gradient for weight, gradient in zip(weights, gradients)]
''',
    solution='''def after_update(weights, gradients, rate):
    """Return the weights of every rank after one step; each rank has a gradient of its own piece of the batch."""
    mean = sum(gradients) / len(gradients)
    return [weight - rate * mean for weight in weights]
''',
    wrong={
        "sums": _step("total = sum(gradients)\nreturn [weight - rate * total for weight in weights]"),
        "first_rank_only": _step("return [weight - rate * gradients[0] for weight in weights]"),
        "divides_twice": _step(
            "mean = sum(gradients) / len(gradients) ** 2\nreturn [weight - rate * mean for weight in weights]"
        ),
        "one_rank_updated": _step(
            "mean = sum(gradients) / len(gradients)\nreturn [weights[0] - rate * mean, *weights[1:]]"
        ),
        "uphill": _step("mean = sum(gradients) / len(gradients)\nreturn [weight + rate * mean for weight in weights]"),
    },
    cases={
        "2 ranks": lambda: _ranks(2, 10),
        "4 ranks": lambda: _ranks(4, 20),
        "1 rank": lambda: _ranks(1, 30),
    },
    minutes=6,
    is_bug=True,
)


def _whole(lines: str) -> str:
    return "def whole_gradient(gradients, counts):\n" + "".join(f"    {line}\n" for line in lines.splitlines())


UNEVEN = Exercise(
    id="07.3",
    answer="whole_gradient",
    starter='''def whole_gradient(gradients, counts):
    """Return the mean gradient over all examples, from the mean gradient of each rank and its number of examples."""
    ...
''',
    solution='''def whole_gradient(gradients, counts):
    """Return the mean gradient over all examples, from the mean gradient of each rank and its number of examples."""
    return sum(gradient * count for gradient, count in zip(gradients, counts)) / sum(counts)
''',
    wrong={
        "plain_mean": _whole("return sum(gradients) / len(gradients)"),
        "not_divided": _whole("return sum(gradient * count for gradient, count in zip(gradients, counts))"),
        "by_ranks": _whole("return sum(g * count for g, count in zip(gradients, counts)) / len(counts)"),
        "by_largest": _whole("return sum(g * count for g, count in zip(gradients, counts)) / max(counts)"),
    },
    cases={
        "32 and 32 examples": lambda: ([_random(3, seed=1), _random(3, seed=2)], [32, 32]),
        "32 and 5 examples": lambda: ([_random(3, seed=3), _random(3, seed=4)], [32, 5]),
        "3 ranks, one idle": lambda: ([_random(3, seed=5), _random(3, seed=6), _random(3, seed=7)], [8, 8, 0]),
    },
    minutes=6,
)


def _seconds(lines: str) -> str:
    head = "def step_seconds(compute, gigabytes, ranks, gigabytes_per_second):\n"
    return head + "".join(f"    {line}\n" for line in lines.splitlines())


SCALING = Exercise(
    id="07.4",
    answer="step_seconds",
    starter='''def step_seconds(compute, gigabytes, ranks, gigabytes_per_second):
    """Return the seconds of a step: `compute` is that of one process, gradients of so many GB go round a ring."""
    ...
''',
    solution='''def step_seconds(compute, gigabytes, ranks, gigabytes_per_second):
    """Return the seconds of a step: `compute` is that of one process, gradients of so many GB go round a ring."""
    sent = 2 * (ranks - 1) / ranks * gigabytes
    return compute / ranks + sent / gigabytes_per_second
''',
    wrong={
        "one_round": _seconds("return compute / ranks + (ranks - 1) / ranks * gigabytes / gigabytes_per_second"),
        "no_sending": _seconds("return compute / ranks"),
        "compute_not_divided": _seconds("return compute + 2 * (ranks - 1) / ranks * gigabytes / gigabytes_per_second"),
        "to_everybody": _seconds("return compute / ranks + (ranks - 1) * gigabytes / gigabytes_per_second"),
        "everything_twice": _seconds("return compute / ranks + 2 * gigabytes / gigabytes_per_second"),
    },
    cases={
        "1 s, 4 GB, 1 rank": lambda: (1.0, 4.0, 1, 10.0),
        "1 s, 4 GB, 2 ranks, 10 GB/s": lambda: (1.0, 4.0, 2, 10.0),
        "1 s, 4 GB, 64 ranks, 50 GB/s": lambda: (1.0, 4.0, 64, 50.0),
    },
    minutes=6,
)

LESSON = Lesson(
    number="07",
    name="data_parallel",
    minutes=45,
    run_seconds=110,
    exercises=(RING, AVERAGE, UNEVEN, SCALING),
    questions=(
        Question("07.p1", "choice", "slower", choices=("slower", "little", "twice"), limits=(1.0, 1.5)),
        Question(
            "07.d1",
            "decision",
            {"when": "large_compute", "watch": "sending"},
            fields={"when": ("always", "large_compute", "never"), "watch": ("sending", "start_up", "batch")},
        ),
    ),
    fast={"run_it": False},
)
