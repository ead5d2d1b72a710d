"""Lesson 08: tensor, pipeline, hybrid. Where a model is cut decides what has to be sent, and who waits for whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workbench.lessons.exercise import Exercise, Finding, Lesson, Paper, Question

if TYPE_CHECKING:
    import torch

MODEL, DEVICE, NUM_DEVICES, BATCH, LENGTH = "llama-3-70b", "h100", 64, 512, 4096
NEAR_BEST = 0.95  # of the best throughput


def _random(*shape: int, seed: int) -> torch.Tensor:
    import torch

    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _split_answers(answer: Callable[..., Any], num_ranks: int) -> tuple[Any, int]:
    """Return what the answer gives for `num_ranks`, and how often it called for a sum over ranks."""
    num_calls = 0

    def all_reduce(parts: Any) -> Any:
        nonlocal num_calls
        num_calls += 1
        assert len(parts) == num_ranks, f"{len(parts)} parts of {num_ranks} ranks"
        return sum(parts)

    return answer(*_layers(), num_ranks, all_reduce), num_calls


def _layers() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return _random(3, 8, seed=0), _random(8, 16, seed=1), _random(16, 5, seed=2)


def _check_split(answer: Any) -> Finding:
    """Judge a split feed-forward block by its values and by how often its ranks must talk."""
    import torch

    inputs, first, second = _layers()
    right = torch.relu(inputs @ first) @ second
    rows, worst, calls = [], 0.0, 0
    for num_ranks in (1, 2, 4):
        given, calls = _split_answers(answer, num_ranks)
        gap = float((given - right).abs().max())
        worst = max(worst, gap)
        rows.append((f"{num_ranks} ranks", f"gap {gap:.2g}, sums {calls}", gap < 1e-4 and calls == 1))
    values = {"gap": f"{worst:.2g}", "calls": calls}
    name = _split_wrong(given, calls, right, is_right=worst < 1e-4)
    return Finding("try_again" if name else "ok", name, values, tuple(rows))


def _split_wrong(given: torch.Tensor, calls: int, right: torch.Tensor, *, is_right: bool) -> str:
    """Return the misconception of what came out for 4 ranks; empty when it is right."""
    import torch

    if is_right:
        return {0: "sums_itself", 1: ""}.get(calls, "two_sums")
    if torch.allclose(4 * given, right, atol=1e-4):
        return "averaged"
    inputs, first, second = _layers()
    part = torch.relu(inputs @ first[:, :4]) @ second[:4]
    return "no_sum" if torch.allclose(given, part, atol=1e-4) else "relu_of_parts"


def _split(lines: str) -> str:
    head = "import torch\n\n\ndef split_block(inputs, first, second, num_ranks, all_reduce):\n"
    return head + "".join(f"    {line}\n" for line in lines.splitlines())


PARTS = "parts = [torch.relu(inputs @ a) @ b for a, b in zip(first.chunk(num_ranks, 1), second.chunk(num_ranks, 0))]\n"
SPLIT = Exercise(
    id="08.1",
    answer="split_block",
    starter='''import torch


def split_block(inputs, first, second, num_ranks, all_reduce):
    """Return relu(inputs @ first) @ second, as ranks that hold a part of each weight compute it; all_reduce sums over them."""
    parts = []
    for rank in range(num_ranks):
        own = inputs.chunk(num_ranks, 1)[rank]
        hidden = torch.relu(own @ first.chunk(num_ranks, 0)[rank])
        parts.append(hidden @ second)
    return all_reduce(parts)
''',
    solution='''import torch


def split_block(inputs, first, second, num_ranks, all_reduce):
    """Return relu(inputs @ first) @ second, as ranks that hold a part of each weight compute it; all_reduce sums over them."""
    parts = []
    for rank in range(num_ranks):
        hidden = torch.relu(inputs @ first.chunk(num_ranks, 1)[rank])
        parts.append(hidden @ second.chunk(num_ranks, 0)[rank])
    return all_reduce(parts)
''',
    wrong={
        "relu_of_parts": _split(
            "rows = zip(inputs.chunk(num_ranks, 1), first.chunk(num_ranks, 0))\n"
            "return all_reduce([torch.relu(own @ part) @ second for own, part in rows])"
        ),
        "two_sums": _split(
            "rows = zip(inputs.chunk(num_ranks, 1), first.chunk(num_ranks, 0))\n"
            "hidden = torch.relu(all_reduce([own @ part for own, part in rows])).chunk(num_ranks, 1)\n"
            "return all_reduce([own @ part for own, part in zip(hidden, second.chunk(num_ranks, 0))])"
        ),
        "sums_itself": _split(f"{PARTS}return sum(parts)"),
        "no_sum": _split(f"{PARTS}return parts[0]"),
        "averaged": _split(f"{PARTS}return all_reduce(parts) / num_ranks"),
    },
    check=_check_split,
    minutes=8,
    is_bug=True,
)


def _schedule(expression: str) -> str:
    return f"def schedule(num_stages, num_pieces):\n    p, m = num_stages, num_pieces\n    return {expression}\n"


def _grid(answer: Any) -> Any:
    rows = [[0.0 if cell is None else cell + 1.0 for cell in row] for row in answer(3, 5)]  # zeros are drawn empty
    return (("stage × time: piece + 1", rows),)


SCHEDULE = Exercise(
    id="08.2",
    answer="schedule",
    starter='''def schedule(num_stages, num_pieces):
    """Return a list per stage with the piece that it works on at each time, 0, 1, …; None while it idles. Forward only."""
    ...
''',
    solution='''def schedule(num_stages, num_pieces):
    """Return a list per stage with the piece that it works on at each time, 0, 1, …; None while it idles. Forward only."""
    times = range(num_stages + num_pieces - 1)
    rows = [[time - stage for time in times] for stage in range(num_stages)]
    return [[piece if 0 <= piece < num_pieces else None for piece in row] for row in rows]
''',
    wrong={
        "no_shift": _schedule("[list(range(m)) for _ in range(p)]"),
        "cut_off": _schedule("[[t - s if 0 <= t - s < m else None for t in range(m)] for s in range(p)]"),
        "one_at_a_time": _schedule("[[t // p if t % p == s else None for t in range(m * p)] for s in range(p)]"),
        "last_first": _schedule(
            "[[t - (p - 1 - s) if 0 <= t - (p - 1 - s) < m else None for t in range(m + p - 1)] for s in range(p)]"
        ),
        "from_one": _schedule("[[t - s + 1 if 0 <= t - s < m else None for t in range(m + p - 1)] for s in range(p)]"),
    },
    cases={
        "3 stages, 5 pieces": lambda: (3, 5),
        "4 stages, 1 piece": lambda: (4, 1),
        "1 stage, 3 pieces": lambda: (1, 3),
        "2 stages, 2 pieces": lambda: (2, 2),
    },
    grids=_grid,
    minutes=7,
)


def _idle(expression: str) -> str:
    return f"def idle_share(num_stages, num_pieces):\n    p, m = num_stages, num_pieces\n    return {expression}\n"


IDLE = Exercise(
    id="08.3",
    answer="idle_share",
    starter='''def idle_share(num_stages, num_pieces):
    """Return the share of all stages' time in which they idle, of a pipeline whose pieces all take the same time."""
    ...
''',
    solution='''def idle_share(num_stages, num_pieces):
    """Return the share of all stages' time in which they idle, of a pipeline whose pieces all take the same time."""
    return (num_stages - 1) / (num_pieces + num_stages - 1)
''',
    wrong={
        "of_work": _idle("(p - 1) / m"),
        "all_stages": _idle("p / (m + p)"),
        "one_too_long": _idle("(p - 1) / (m + p)"),
        "busy": _idle("m / (m + p - 1)"),
        "exchanged": _idle("(m - 1) / (m + p - 1)"),
    },
    cases={
        "4 stages, 1 piece": lambda: (4, 1),
        "4 stages, 12 pieces": lambda: (4, 12),
        "8 stages, 32 pieces": lambda: (8, 32),
        "1 stage, 5 pieces": lambda: (1, 5),
    },
    minutes=4,
)

AXES = ("data", "tensor", "pipeline")


def best_by_axes() -> dict[tuple[int, int, int], Any]:
    """Return the plan's best layout for each (data, tensor, pipeline): one that fits where there is one, then the fastest."""
    from workbench.plan import architecture, devices, training

    wanted = training.Wanted(batch=BATCH, length=LENGTH)
    found: dict[tuple[int, int, int], Any] = {}
    for each in training.plan(architecture.find(MODEL), devices.find(DEVICE), NUM_DEVICES, wanted):
        found.setdefault((each.layout.data, each.layout.tensor, each.layout.pipeline), each)
    return found


def _check_layout(answer: Any) -> Finding:
    """Judge a layout by the plan of the workbench."""
    from workbench.plan import devices

    per_node = devices.find(DEVICE).per_node
    told = {"given": str(answer)[:60], "devices": NUM_DEVICES, "per_node": per_node}
    sizes: list[Any] = (
        [answer.get(axis) for axis in AXES] if isinstance(answer, dict) and set(answer) == set(AXES) else []
    )
    if not sizes or not all(type(size) is int and size > 0 for size in sizes):
        return Finding("try_again", "no_layout", told)
    data, tensor, pipeline = sizes
    if data * tensor * pipeline != NUM_DEVICES:
        return Finding("try_again", "other_product", told | {"product": data * tensor * pipeline})
    if tensor > per_node:
        return Finding("try_again", "across_nodes", told)
    planned, best = best_by_axes(), max(each.tokens_per_second for each in best_by_axes().values() if each.fits)
    found = planned.get((data, tensor, pipeline))
    if found is None:
        return Finding("try_again", "no_layout", told)
    share = found.tokens_per_second / best
    told |= {"share": f"{share:.0%}", "gb": f"{found.memory_bytes / 1e9:.0f}", "limit": found.limit}
    bars = tuple((part, seconds, f"{seconds:.3g} s") for part, seconds in found.seconds.items())
    if not found.fits:
        return Finding("try_again", "does_not_fit", told, bars=bars)
    if share >= NEAR_BEST:
        return Finding("ok", values=told, bars=bars)
    return Finding("try_again", _slow(tensor, pipeline), told, bars=bars)


def _slow(tensor: int, pipeline: int) -> str:
    if pipeline == 1:
        return "no_pipeline"
    return "much_tensor" if tensor == 8 else "little_tensor"


LAYOUT = Exercise(
    id="08.4",
    answer="layout",
    starter="layout = ...  # a dictionary with data, tensor and pipeline\n",
    solution='layout = {"data": 1, "tensor": 4, "pipeline": 16}\n',
    wrong={
        "other_product": 'layout = {"data": 8, "tensor": 8, "pipeline": 2}\n',
        "across_nodes": 'layout = {"data": 4, "tensor": 16, "pipeline": 1}\n',
        "does_not_fit": 'layout = {"data": 32, "tensor": 1, "pipeline": 2}\n',
        "no_pipeline": 'layout = {"data": 64, "tensor": 1, "pipeline": 1}\n',
        "little_tensor": 'layout = {"data": 4, "tensor": 1, "pipeline": 16}\n',
        "much_tensor": 'layout = {"data": 1, "tensor": 8, "pipeline": 8}\n',
        "no_layout": 'layout = "8 × 4 × 2"\n',
    },
    check=_check_layout,
    minutes=7,
)

LESSON = Lesson(
    number="08",
    name="split_it",
    minutes=45,
    run_seconds=40,
    exercises=(SPLIT, SCHEDULE, IDLE, LAYOUT),
    questions=(
        Question("08.p1", "number", 18, unit="%"),
        Question("08.p2", "choice", "some", choices=("one", "some", "node"), limits=(1.0, 4.0)),
        Question(
            "08.d1",
            "decision",
            {"first": "tensor", "wrong_by": "links"},
            fields={"first": ("data", "tensor", "pipeline"), "wrong_by": ("links", "memory", "uneven")},
        ),
    ),
    papers=(
        Paper("08.r1", "Huang et al., arXiv 1811.06965, section 2.3", low=0, high=10, unit="% of the time"),
    ),
)  # fmt: skip
