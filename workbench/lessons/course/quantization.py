"""Lesson 03: quantization. A scale, a zero point, an axis and a range decide what rounding costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.lessons.exercise import Exercise, Finding, Lesson, Paper, Question

if TYPE_CHECKING:
    import numpy as np
    import torch

BITS, OUTLIER = 4, 60.0  # of the calibration exercise
NEAR_BEST = 1.10  # its error may be so many times the least


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    import torch

    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


SCALE_HEAD = "scale_and_zero(low, high, bits)"


def _scale(lines: str) -> str:
    return f"def {SCALE_HEAD}:\n" + "".join(f"    {line}\n" for line in lines.splitlines())


SCALE = Exercise(
    id="03.1",
    answer="scale_and_zero",
    starter='''def scale_and_zero(low, high, bits):
    """Return (scale, zero point) so that [low, high] falls on the integers 0 … 2 ** bits − 1 and 0.0 on one of them."""
    ...
''',
    solution='''def scale_and_zero(low, high, bits):
    """Return (scale, zero point) so that [low, high] falls on the integers 0 … 2 ** bits − 1 and 0.0 on one of them."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / (2**bits - 1) or 1.0
    return scale, round(-low / scale)
''',
    wrong={
        "no_zero": _scale("scale = (high - low) / (2**bits - 1) or 1.0\nreturn scale, round(-low / scale)"),
        "one_level_too_many": _scale(
            "low, high = min(low, 0.0), max(high, 0.0)\nscale = (high - low) / 2**bits or 1.0\nreturn scale, round(-low / scale)"
        ),
        "zero_between": _scale(
            "low, high = min(low, 0.0), max(high, 0.0)\nscale = (high - low) / (2**bits - 1) or 1.0\nreturn scale, -low / scale"
        ),
        "constant": _scale(
            "low, high = min(low, 0.0), max(high, 0.0)\nscale = (high - low) / (2**bits - 1)\nreturn scale, round(-low / scale)"
        ),
        "cut_off": _scale(
            "low, high = min(low, 0.0), max(high, 0.0)\nscale = (high - low) / (2**bits - 1) or 1.0\nreturn scale, int(-low / scale)"
        ),
        "wrong_sign": _scale(
            "low, high = min(low, 0.0), max(high, 0.0)\nscale = (high - low) / (2**bits - 1) or 1.0\nreturn scale, round(low / scale)"
        ),
        "symmetric": _scale("scale = max(abs(low), abs(high)) / (2 ** (bits - 1) - 1) or 1.0\nreturn scale, 0"),
    },
    cases={
        "[−1, 1], 8 bits": lambda: (-1.0, 1.0, 8),
        "[0, 6], 8 bits": lambda: (0.0, 6.0, 8),
        "[2, 6], 4 bits": lambda: (2.0, 6.0, 4),
        "[−3, −1], 4 bits": lambda: (-3.0, -1.0, 4),
        "[−0.9, 2.1], 4 bits": lambda: (-0.9, 2.1, 4),
        "[0, 0], 8 bits": lambda: (0.0, 0.0, 8),
    },
    minutes=8,
)


def _rounded(lines: str) -> str:
    head = "import torch\n\n\ndef rounded(values, scale, zero, bits):\n"
    return head + "".join(f"    {line}\n" for line in lines.splitlines())


ZERO_POINT = Exercise(
    id="03.2",
    answer="rounded",
    starter='''import torch


def rounded(values, scale, zero, bits):
    """Return the values as an integer grid with this scale and zero point holds them."""
    integers = torch.round(values / scale).clamp(0, 2**bits - 1)
    return integers * scale
''',
    solution='''import torch


def rounded(values, scale, zero, bits):
    """Return the values as an integer grid with this scale and zero point holds them."""
    integers = (torch.round(values / scale) + zero).clamp(0, 2**bits - 1)
    return (integers - zero) * scale
''',
    wrong={
        "not_taken_back": _rounded(
            "integers = (torch.round(values / scale) + zero).clamp(0, 2**bits - 1)\nreturn integers * scale"
        ),
        "clamps_first": _rounded(
            "integers = torch.round(values / scale).clamp(0, 2**bits - 1) + zero\nreturn (integers - zero) * scale"
        ),
        "signed_range": _rounded(
            "integers = (torch.round(values / scale) + zero).clamp(-2 ** (bits - 1), 2 ** (bits - 1) - 1)\n"
            "return (integers - zero) * scale"
        ),
        "cut_off": _rounded(
            "integers = (torch.floor(values / scale) + zero).clamp(0, 2**bits - 1)\nreturn (integers - zero) * scale"
        ),
        "no_clamp": _rounded("integers = torch.round(values / scale) + zero\nreturn (integers - zero) * scale"),
        "one_too_many": _rounded(
            "integers = (torch.round(values / scale) + zero).clamp(0, 2**bits)\nreturn (integers - zero) * scale"
        ),
    },
    cases={
        "both signs, 4 bits": lambda: (_random(5, 5), 0.3, 7, 4),
        "beyond the range": lambda: (10 * _random(8, seed=1), 0.5, 8, 4),
        "8 bits": lambda: (_random(16, seed=2), 0.02, 128, 8),
    },
    grids=lambda answer: (
        ("before", _random(5, 5).tolist()), ("after", answer(_random(5, 5), 0.3, 7, 4).tolist())
    ),
    minutes=6,
    is_bug=True,
)  # fmt: skip


def _scales(lines: str) -> str:
    return "def channel_scales(weight, bits):\n" + "".join(f"    {line}\n" for line in lines.splitlines())


CHANNEL_SCALES = Exercise(
    id="03.3",
    answer="channel_scales",
    starter='''def channel_scales(weight, bits):
    """Return one symmetric scale per output channel (axis 0) of a linear or convolutional weight, in one dimension."""
    ...
''',
    solution='''def channel_scales(weight, bits):
    """Return one symmetric scale per output channel (axis 0) of a linear or convolutional weight, in one dimension."""
    return weight.flatten(1).abs().amax(1) / (2 ** (bits - 1) - 1)
''',
    wrong={
        "wrong_axis": _scales("return weight.transpose(0, 1).flatten(1).abs().amax(1) / (2 ** (bits - 1) - 1)"),
        "whole_tensor": _scales("return weight.abs().max().expand(len(weight)) / (2 ** (bits - 1) - 1)"),
        "signed_largest": _scales("return weight.flatten(1).amax(1) / (2 ** (bits - 1) - 1)"),
        "all_levels": _scales("return weight.flatten(1).abs().amax(1) / (2**bits - 1)"),
        "half_level": _scales("return weight.flatten(1).abs().amax(1) / 2 ** (bits - 1)"),
        "kept_dimensions": _scales(
            "return weight.abs().amax(tuple(range(1, weight.ndim)), keepdim=True) / (2 ** (bits - 1) - 1)"
        ),
    },
    cases={
        "linear 4 × 6, 8 bits": lambda: (_random(4, 6), 8),
        "linear 6 × 3, 4 bits": lambda: (_random(6, 3, seed=1), 4),
        "conv 5 × 2 × 3 × 3, 4 bits": lambda: (_random(5, 2, 3, 3, seed=2), 4),
    },
    minutes=6,
)


def activations() -> np.ndarray:
    """Return the 10,001 activations of the calibration exercise: a bell, and one outlier."""
    import numpy as np

    return np.append(np.random.default_rng(0).standard_normal(10_000), OUTLIER)


def errors(threshold: float) -> tuple[float, float]:
    """Return the mean squared error of values inside [−threshold, threshold] and of those clipped to it."""
    import numpy as np

    values, largest = activations(), 2 ** (BITS - 1) - 1
    scale = threshold / largest
    squares = (np.clip(np.round(values / scale), -largest, largest) * scale - values) ** 2
    inside = np.abs(values[:-1]) <= threshold  # without the outlier, whose loss is the same for any sane threshold
    return float(squares[:-1][inside].sum() / len(values)), float(squares[:-1][~inside].sum() / len(values))


def least_error() -> float:
    """Return the smallest error over thresholds from 1 to 6."""
    import numpy as np

    return min(sum(errors(float(each))) for each in np.linspace(1, 6, 51))


def _check_threshold(answer: Any) -> Finding:
    """Judge a clipping threshold by the error that it leaves on everything but the outlier."""
    values: dict[str, Any] = {"given": answer}
    if isinstance(answer, bool) or not isinstance(answer, int | float) or answer <= 0:
        return Finding("try_again", "no_threshold", values)
    rounding, clipping = errors(float(answer))
    bars = (("rounding", rounding, f"{rounding:.3g}"), ("clipping", clipping, f"{clipping:.3g}"))
    values |= {
        "times": f"{(rounding + clipping) / least_error():.3g}",
        "scale": f"{answer / (2 ** (BITS - 1) - 1):.3g}",
    }
    if rounding + clipping <= NEAR_BEST * least_error():
        return Finding("ok", values=values, bars=bars)
    if answer >= OUTLIER / 2:
        return Finding("try_again", "min_max", values, bars=bars)
    return Finding("try_again", "too_wide" if rounding > clipping else "too_tight", values, bars=bars)


THRESHOLD = Exercise(
    id="03.4",
    answer="threshold",
    starter="threshold = ...  # values beyond ± threshold are clipped\n",
    solution="threshold = 2.5\n",
    wrong={
        "min_max": "threshold = 60.0\n",
        "too_wide": "threshold = 6.0\n",
        "too_tight": "threshold = 1.0\n",
        "no_threshold": 'threshold = "2.5"\n',
    },
    check=_check_threshold,
    minutes=6,
)

LESSON = Lesson(
    number="03",
    name="quantization",
    minutes=50,
    run_seconds=60,
    exercises=(SCALE, ZERO_POINT, CHANNEL_SCALES, THRESHOLD),
    questions=(
        Question("03.p1", "number", 5.7, unit="times"),
        Question("03.p2", "choice", "few", choices=("nothing", "few", "many"), limits=(1.0, 10.0)),
        Question(
            "03.d1",
            "decision",
            {"precision": "int4", "because": "memory"},
            fields={"precision": ("float32", "int8", "int4", "int2"), "because": ("memory", "kernels", "accuracy")},
        ),
    ),
    papers=(Paper("03.r1", "Frantar et al., arXiv 2210.17323, OPT on WikiText2", low=0.5, high=100, unit="points"),),
    fast={"epochs": 4, "leave_out": ["int8, weights and activations", "4 bits, a scale per row"]},
)
