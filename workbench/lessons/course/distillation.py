"""Lesson 04: distillation. What soft targets carry, a loss that forgets them, and whether a gain is more than noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.lessons.exercise import Exercise, Lesson, Paper, Question

if TYPE_CHECKING:
    import torch


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    import torch

    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _softened(line: str) -> str:
    return f"import torch\n\n\ndef softened(logits, temperature):\n    {line}\n"


SOFTENED = Exercise(
    id="04.1",
    answer="softened",
    starter='''import torch


def softened(logits, temperature):
    """Return the probabilities of each row of logits (examples × classes) at a temperature."""
    ...
''',
    solution='''import torch


def softened(logits, temperature):
    """Return the probabilities of each row of logits (examples × classes) at a temperature."""
    return torch.softmax(logits / temperature, 1)
''',
    wrong={
        "multiplies": _softened("return torch.softmax(logits * temperature, 1)"),
        "divides_after": _softened("return torch.softmax(logits, 1) / temperature"),
        "no_temperature": _softened("return torch.softmax(logits, 1)"),
        "over_examples": _softened("return torch.softmax(logits / temperature, 0)"),
        "logarithms": _softened("return torch.log_softmax(logits / temperature, 1)"),
    },
    cases={
        "3 × 4, T = 4": lambda: (_random(3, 4), 4.0),
        "2 × 10, T = 1": lambda: (_random(2, 10, seed=1), 1.0),
        "5 × 3, T = 0.5": lambda: (_random(5, 3, seed=2), 0.5),
    },
    grids=lambda answer: tuple(
        (f"T = {temperature:g}", answer(_random(3, 6, seed=3), temperature).tolist()) for temperature in (1.0, 4.0)
    ),
    minutes=5,
)

LOSS_HEAD = "def distillation_loss(student, teacher, targets, temperature, alpha):"
HARD = "    hard = cross_entropy(student, targets)\n"
MIX = "    return alpha * hard + (1 - alpha) * temperature**2 * soft\n"
IMPORTS = "import torch\nfrom torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax\n\n\n"


def _loss(soft: str, mix: str = MIX) -> str:
    return f"{IMPORTS}{LOSS_HEAD}\n{HARD}    soft = {soft}\n{mix}"


DOCSTRING = (
    '    """Return α · CE(student, targets) + (1 − α) · T² · KL(teacher ‖ student), both softened; logits come in."""\n'
)
RIGHT_SOFT = 'kl_div(log_softmax(student / temperature, 1), softmax(teacher / temperature, 1), reduction="batchmean")'
LOSS = Exercise(
    id="04.2",
    answer="distillation_loss",
    starter=f"{IMPORTS}{LOSS_HEAD}\n{DOCSTRING}{HARD}    soft = cross_entropy(student / temperature, teacher.argmax(1))\n{MIX}",
    solution=f"{IMPORTS}{LOSS_HEAD}\n{DOCSTRING}{HARD}    learned = log_softmax(student / temperature, 1)\n"
    f'    soft = kl_div(learned, softmax(teacher / temperature, 1), reduction="batchmean")\n{MIX}',
    wrong={
        "no_squared_temperature": _loss(RIGHT_SOFT, "    return alpha * hard + (1 - alpha) * soft\n"),
        "no_logarithm": _loss(RIGHT_SOFT.replace("log_softmax(student", "softmax(student")),
        "mean_over_elements": _loss(RIGHT_SOFT.replace("batchmean", "mean")),
        "teacher_not_softened": _loss(RIGHT_SOFT.replace("softmax(teacher / temperature, 1)", "softmax(teacher, 1)")),
        "student_not_softened": _loss(RIGHT_SOFT.replace("student / temperature", "student")),
        "alpha_swapped": _loss(RIGHT_SOFT, "    return (1 - alpha) * hard + alpha * temperature**2 * soft\n"),
        "soft_only": _loss(RIGHT_SOFT, "    return (1 - alpha) * temperature**2 * soft\n"),
    },
    cases={
        "8 examples, T = 4, α = 0.3": lambda: (*_batch(8, 0), 4.0, 0.3),
        "3 examples, T = 2, α = 0.9": lambda: (*_batch(3, 5), 2.0, 0.9),
        "8 examples, T = 1, α = 0": lambda: (*_batch(8, 10), 1.0, 0.0),
    },
    minutes=8,
    is_bug=True,
)


def _batch(examples: int, seed: int) -> tuple[Any, ...]:
    """Return a student's logits, a teacher's and targets of ten classes."""
    import torch

    targets = torch.randint(0, 10, (examples,), generator=torch.Generator().manual_seed(seed))
    return _random(examples, 10, seed=seed + 1), _random(examples, 10, seed=seed + 2), targets


def _gain(lines: str) -> str:
    head = "from statistics import mean, pstdev, stdev\n\n\ndef is_gain(taught, alone):\n"
    return head + "".join(f"    {line}\n" for line in lines.splitlines())


IS_GAIN = Exercise(
    id="04.3",
    answer="is_gain",
    starter='''from statistics import mean, stdev


def is_gain(taught, alone):
    """Say whether the mean difference, seed by seed, is more than twice its standard error."""
    ...
''',
    solution='''from statistics import mean, stdev


def is_gain(taught, alone):
    """Say whether the mean difference, seed by seed, is more than twice its standard error."""
    gains = [one - other for one, other in zip(taught, alone)]
    return mean(gains) > 2 * stdev(gains) / len(gains) ** 0.5
''',
    wrong={
        "mean_only": _gain("return mean(taught) > mean(alone)"),
        "standard_deviation": _gain(
            "gains = [a - b for a, b in zip(taught, alone)]\nreturn mean(gains) > 2 * stdev(gains)"
        ),
        "every_seed": _gain("return all(a > b for a, b in zip(taught, alone))"),
        "not_paired": _gain(
            "error = ((stdev(taught) ** 2 + stdev(alone) ** 2) / len(taught)) ** 0.5\n"
            "return mean(taught) - mean(alone) > 2 * error"
        ),
        "best_seed": _gain("return max(taught) > max(alone)"),
        "either_way": _gain(
            "gains = [a - b for a, b in zip(taught, alone)]\n"
            "return abs(mean(gains)) > 2 * stdev(gains) / len(gains) ** 0.5"
        ),
    },
    cases={
        "large and steady": lambda: ([0.93, 0.94, 0.95], [0.90, 0.91, 0.93]),
        "small, one seed against it": lambda: ([0.90, 0.93, 0.91], [0.89, 0.90, 0.92]),
        "paired, seeds far apart": lambda: ([0.80, 0.90, 0.97], [0.78, 0.885, 0.95]),
        "positive on each seed, spread": lambda: ([0.901, 0.95, 0.902], [0.90, 0.90, 0.90]),
        "better mean, worse best": lambda: ([0.90, 0.93, 0.94], [0.88, 0.90, 0.95]),
        "a loss": lambda: ([0.90, 0.91, 0.92], [0.93, 0.94, 0.951]),
        "four seeds, a gain with one against": lambda: ([0.91, 0.92, 0.93, 0.899], [0.89, 0.90, 0.91, 0.90]),
    },
    minutes=7,
)

LESSON = Lesson(
    number="04",
    name="distillation",
    minutes=40,
    run_seconds=110,
    exercises=(SOFTENED, LOSS, IS_GAIN),
    questions=(
        Question("04.p1", "choice", "noise", choices=("worse", "noise", "clear"), limits=(-0.5, 1.5)),
        Question(
            "04.d1",
            "decision",
            {"distil": "measure_both", "because": "cost"},
            fields={"distil": ("always", "measure_both", "never"), "because": ("cost", "unlabelled", "accuracy")},
        ),
    ),
    papers=(Paper("04.r1", "Hinton, Vinyals & Dean, arXiv 1503.02531, section 3", low=0.5, high=20, unit="points"),),
    fast={"seeds": [0, 1], "epochs": 4, "student_epochs": 4},
)
