"""Lesson 01: measure size, latency and accuracy so that the figure can be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.lessons import _stub_clock
from workbench.lessons._same import within
from workbench.lessons.exercise import Exercise, Lesson, Question

if TYPE_CHECKING:
    from torch import nn


def _linear() -> tuple[nn.Module]:
    from torch import nn

    return (nn.Linear(3, 4),)


def _normalised() -> tuple[nn.Module]:
    """A batch norm counts batches in an int64, and keeps means and variances that aren't parameters."""
    from torch import nn

    return (nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)),)


def _half() -> tuple[nn.Module]:
    from torch import nn

    return (nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2)).half(),)


def _frozen() -> tuple[nn.Module]:
    from torch import nn

    model = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
    model[0].requires_grad_(False)
    return (model,)


def _size(expression: str) -> str:
    return f"def model_bytes(model):\n    {expression}\n"


MODEL_BYTES = Exercise(
    id="01.1",
    answer="model_bytes",
    starter='''def model_bytes(model):
    """Return the bytes of all numbers that a torch module keeps."""
    ...
''',
    solution='''def model_bytes(model):
    """Return the bytes of all numbers that a torch module keeps."""
    kept = [*model.parameters(), *model.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in kept)
''',
    wrong={
        "parameters_only": _size("return sum(each.numel() * each.element_size() for each in model.parameters())"),
        "bits": _size("return 8 * sum(t.numel() * t.element_size() for t in [*model.parameters(), *model.buffers()])"),
        "count": _size("return sum(each.numel() for each in [*model.parameters(), *model.buffers()])"),
        "four_bytes": _size("return 4 * sum(each.numel() for each in [*model.parameters(), *model.buffers()])"),
        "parameters_times_four": _size("return 4 * sum(each.numel() for each in model.parameters())"),
        "parameter_count": _size("return sum(each.numel() for each in model.parameters())"),
        "trainable_only": _size(
            "return sum(t.numel() * t.element_size() for t in [*model.parameters(), *model.buffers()]"
            " if t.requires_grad)"
        ),
        "megabytes": _size(
            "return sum(t.numel() * t.element_size() for t in [*model.parameters(), *model.buffers()]) / 1e6"
        ),
    },
    cases={
        "Linear(3, 4)": _linear,
        "Conv2d + BatchNorm2d": _normalised,
        "float16": _half,
        "requires_grad_(False)": _frozen,
    },
    minutes=6,
)

LATENCY = Exercise(
    id="01.2",
    answer="latency_ms",
    starter='''import time


def latency_ms(load, model):
    """Return how many milliseconds one call of `model` takes on what `load()` gives."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        model(load())
        seconds.append(time.perf_counter() - start)
    return 1000 * sum(seconds) / len(seconds)
''',
    solution='''import time


def latency_ms(load, model):
    """Return how many milliseconds one call of `model` takes on what `load()` gives."""
    model.eval()
    batch, seconds = load(), []
    for _ in range(10):  # warm up: the first calls are slow
        model(batch)
    for _ in range(50):
        start = time.perf_counter()
        model(batch)
        seconds.append(time.perf_counter() - start)
    return 1000 * sorted(seconds)[25]
''',
    wrong={
        "no_warm_up": """import time
def latency_ms(load, model):
    model.eval()
    batch, seconds = load(), []
    for _ in range(5):
        start = time.perf_counter()
        model(batch)
        seconds.append(time.perf_counter() - start)
    return 1000 * sorted(seconds)[2]
""",
        "times_loading": """import time
def latency_ms(load, model):
    model.eval()
    seconds = []
    for _ in range(60):
        start = time.perf_counter()
        model(load())
        seconds.append(time.perf_counter() - start)
    return 1000 * sorted(seconds[10:])[25]
""",
        "mean": """import time
def latency_ms(load, model):
    model.eval()
    batch, seconds = load(), []
    for _ in range(60):
        start = time.perf_counter()
        model(batch)
        seconds.append(time.perf_counter() - start)
    return 1000 * sum(seconds[10:]) / 50
""",
        "training_mode": """import time
def latency_ms(load, model):
    batch, seconds = load(), []
    for _ in range(60):
        start = time.perf_counter()
        model(batch)
        seconds.append(time.perf_counter() - start)
    return 1000 * sorted(seconds[10:])[25]
""",
        "seconds": """import time
def latency_ms(load, model):
    model.eval()
    batch, seconds = load(), []
    for _ in range(60):
        start = time.perf_counter()
        model(batch)
        seconds.append(time.perf_counter() - start)
    return sorted(seconds[10:])[25]
""",
        "several": """import time
def latency_ms(load, model):
    seconds = []
    for _ in range(30):
        start = time.perf_counter()
        model(load())
        seconds.append(time.perf_counter() - start)
    return 1000 * sum(seconds) / len(seconds)
""",
    },
    check=_stub_clock.check_benchmark,
    minutes=8,
    is_bug=True,
)

IMAGES_NEEDED = Exercise(
    id="01.3",
    answer="images_needed",
    starter='''import math


def images_needed(accuracy, half_width):
    """Return how many images make the 95 % interval of an accuracy at most ± half_width wide (all as shares of 1)."""
    ...
''',
    solution='''import math


def images_needed(accuracy, half_width):
    """Return how many images make the 95 % interval of an accuracy at most ± half_width wide (all as shares of 1)."""
    return math.ceil(1.96**2 * accuracy * (1 - accuracy) / half_width**2)
''',
    wrong={
        "one_standard_error": """def images_needed(accuracy, half_width):
    return accuracy * (1 - accuracy) / half_width**2
""",
        "full_width": """def images_needed(accuracy, half_width):
    return 1.96**2 * accuracy * (1 - accuracy) / (half_width / 2) ** 2
""",
        "not_squared": """def images_needed(accuracy, half_width):
    return 1.96 * (accuracy * (1 - accuracy)) ** 0.5 / half_width
""",
        "worst_case": """def images_needed(accuracy, half_width):
    return 1.96**2 * 0.25 / half_width**2
""",
        "one_over_width": """def images_needed(accuracy, half_width):
    return 1 / half_width
""",
    },
    cases={
        "0.95 ± 0.01": lambda: (0.95, 0.01),
        "0.5 ± 0.05": lambda: (0.5, 0.05),
        "0.99 ± 0.002": lambda: (0.99, 0.002),
    },
    same=within(0.03),
    minutes=6,
)


LESSON = Lesson(
    number="01",
    name="measure_first",
    minutes=45,
    run_seconds=60,
    fast={"epochs": 4, "calls": 200},
    exercises=(MODEL_BYTES, LATENCY, IMAGES_NEEDED),
    questions=(
        Question("01.p1", "number", 380, unit="kB"),
        Question("01.p2", "choice", "two", choices=("same", "two", "ten"), limits=(1.5, 5.0)),
        Question(
            "01.d1",
            "decision",
            {"scenario": "edge", "metric": "latency_p95", "budget": "one_point"},
            fields={
                "scenario": ("tiny", "mobile", "edge", "cloud"),
                "metric": ("bytes", "latency_p95", "accuracy", "energy"),
                "budget": ("none", "one_point", "five_points"),
            },
        ),
    ),
)
