"""Which stage of a pipeline does what when: torch's schedules on paper, for charts and for counting what is idle or in flight.

Times are in forward passes of one microbatch through one stage; a backward pass takes two of them, three when activations
are computed again. Passing on takes no time here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from workbench.extents import Extents

Kind = Literal["forward", "backward"]
Order = tuple[Kind, int, int]  # kind, stage, microbatch


@dataclass(frozen=True)
class Pass:
    """One microbatch through one stage, there or back."""

    process: int  # place in the pipeline
    kind: Kind
    stage: int
    microbatch: int
    begin: float
    end: float


@cache
def timetable(extents: Extents) -> tuple[Pass, ...]:
    """Return every pass of an update, each as early as its process is free and what it needs is there."""
    waiting = {process: list(orders(extents, process)) for process in range(extents.pipeline)}
    ended: dict[Order, float] = {}
    free = dict.fromkeys(waiting, 0.0)
    found: list[Pass] = []
    while any(waiting.values()):
        moved = False
        for process, row in waiting.items():
            while row and (needed := _needs(row[0], extents.num_stages)) <= ended.keys():
                order = row.pop(0)
                begin = max([free[process], *(ended[each] for each in needed)])
                free[process] = ended[order] = begin + _took(order[0], extents)
                found.append(Pass(process, *order, begin, ended[order]))
                moved = True
        assert moved, f"{extents} waits for itself"
    return tuple(found)


def idle_share(extents: Extents) -> float:
    """Return the share of an update in which a process of the pipeline has nothing to do, in the mean over them."""
    passes = timetable(extents)
    length = max(each.end for each in passes)
    return 1.0 - sum(each.end - each.begin for each in passes) / (length * extents.pipeline)


def most_in_flight(extents: Extents, process: int) -> int:
    """Return of how many microbatches a process keeps activations at the fullest moment, all its stages together."""
    count, most = 0, 0
    for kind, _, _ in orders(extents, process):
        count += 1 if kind == "forward" else -1
        most = max(most, count)
    return most


def orders(extents: Extents, process: int) -> Iterator[Order]:
    """Yield what one process does, in order."""
    num, total = extents.microbatches, extents.microbatches * extents.stages_per_process
    if extents.schedule == "GPipe":
        ahead = total
    elif extents.schedule == "1F1B":
        ahead = min(total, extents.pipeline - process - 1)
    else:
        ahead = min(total, (extents.stages_per_process - 1) * extents.pipeline + 2 * (extents.pipeline - 1 - process))
    backward = iter(range(total))
    for turn in range(total):
        yield _at(extents, process, "forward", turn, num)
        if turn >= ahead:
            yield _at(extents, process, "backward", next(backward), num)
    for turn in backward:
        yield _at(extents, process, "backward", turn, num)


def _at(extents: Extents, process: int, kind: Kind, turn: int, num: int) -> Order:
    """Return the turn-th pass of its kind: rounds of as many microbatches as processes, through one stage after the other."""
    a_round = extents.pipeline if extents.stages_per_process > 1 else num
    rounds, within = divmod(turn, a_round * extents.stages_per_process)
    local, number = divmod(within, a_round)
    if kind == "backward":
        local = extents.stages_per_process - 1 - local
    return kind, local * extents.pipeline + process, rounds * a_round + number


def _needs(order: Order, num_stages: int) -> set[Order]:
    kind, stage, microbatch = order
    if kind == "forward":
        return {("forward", stage - 1, microbatch)} if stage else set()
    after: set[Order] = {("backward", stage + 1, microbatch)} if stage + 1 < num_stages else set()
    return after | {("forward", stage, microbatch)}


def _took(kind: Kind, extents: Extents) -> float:
    return 1.0 if kind == "forward" else 3.0 if extents.recompute else 2.0
