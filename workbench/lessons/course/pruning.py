"""Lesson 02: pruning. Zeros are not speed; removed channels are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.lessons.exercise import Exercise, Finding, Lesson, Paper, Question

if TYPE_CHECKING:
    import torch

# A run of this lesson's network (12 epochs): weights of each layer, and points of validation accuracy lost when only that
# layer's smallest weights become zero (149 examples).
WEIGHTS = {"blocks.0.conv": 288, "blocks.1.conv": 18432, "blocks.2.conv": 73728, "classifier": 1280}
LEVELS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95)
DROPS = {
    "blocks.0.conv": (0.0, 2.7, 44.3, 44.3, 83.9, 89.9),
    "blocks.1.conv": (0.0, 0.7, 4.7, 18.1, 53.7, 72.5),
    "blocks.2.conv": (0.0, 0.0, 1.3, 3.4, 30.2, 53.7),
    "classifier": (0.0, 0.0, 0.0, 1.3, 4.0, 26.2),
}
MOST_LEFT, MOST_LOST = 0.25, 10.0  # share of weights, points


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    import torch

    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _of(lines: str, head: str) -> str:
    return f"import torch\n\n\ndef {head}:\n" + "".join(f"    {line}\n" for line in lines.splitlines())


MASK_HEAD = "magnitude_mask(weight, sparsity)"


def _mask(lines: str) -> str:
    return _of(lines, MASK_HEAD)


def _mask_grids(answer: Any) -> Any:
    weight = _random(5, 5)
    mask = answer(weight.clone(), 0.6)
    return (("weight", weight.tolist()), ("weight · mask", (weight * mask).tolist()))


MASK = Exercise(
    id="02.1",
    answer="magnitude_mask",
    starter='''import torch


def magnitude_mask(weight, sparsity):
    """Return a boolean mask shaped as `weight`: False where a weight is to become zero."""
    ...
''',
    solution='''import torch


def magnitude_mask(weight, sparsity):
    """Return a boolean mask shaped as `weight`: False where a weight is to become zero."""
    num_zeros = round(sparsity * weight.numel())
    order = weight.abs().flatten().argsort(stable=True)
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[order[:num_zeros]] = False
    return mask.reshape(weight.shape)
''',
    wrong={
        "drops_negative": _mask(
            "order = weight.flatten().argsort(stable=True)\n"
            "mask = torch.ones(weight.numel(), dtype=torch.bool)\n"
            "mask[order[: round(sparsity * weight.numel())]] = False\n"
            "return mask.reshape(weight.shape)"
        ),
        "inverted": _mask(
            "order = weight.abs().flatten().argsort(stable=True)\n"
            "mask = torch.zeros(weight.numel(), dtype=torch.bool)\n"
            "mask[order[: round(sparsity * weight.numel())]] = True\n"
            "return mask.reshape(weight.shape)"
        ),
        "keeps_share": _mask(
            "order = weight.abs().flatten().argsort(stable=True)\n"
            "mask = torch.ones(weight.numel(), dtype=torch.bool)\n"
            "mask[order[: weight.numel() - round(sparsity * weight.numel())]] = False\n"
            "return mask.reshape(weight.shape)"
        ),
        "all_ties_go": _mask(
            "num_zeros = round(sparsity * weight.numel())\n"
            "if num_zeros == 0:\n"
            "    return torch.ones_like(weight, dtype=torch.bool)\n"
            "return weight.abs() > weight.abs().flatten().kthvalue(num_zeros).values"
        ),
        "all_ties_stay": _mask(
            "num_zeros = round(sparsity * weight.numel())\n"
            "if num_zeros == 0:\n"
            "    return torch.ones_like(weight, dtype=torch.bool)\n"
            "return weight.abs() >= weight.abs().flatten().sort().values[min(num_zeros, weight.numel() - 1)]"
        ),
        "threshold_is_sparsity": _mask("return weight.abs() > sparsity"),
        "returns_weights": _mask(
            "order = weight.abs().flatten().argsort(stable=True)\n"
            "pruned = weight.clone().flatten()\n"
            "pruned[order[: round(sparsity * weight.numel())]] = 0\n"
            "return pruned.reshape(weight.shape)"
        ),
    },
    cases={
        "5 × 5, 60 %": lambda: (_random(5, 5), 0.6),
        "conv 4 × 3 × 3 × 3, 80 %": lambda: (_random(4, 3, 3, 3, seed=1), 0.8),
        "2 × 4, 50 %, ties": lambda: (_ties(), 0.5),
        "3 × 3, 0 %": lambda: (_random(3, 3, seed=2), 0.0),
        "7, 30 %": lambda: (_random(7, seed=3), 0.3),
    },
    grids=_mask_grids,
    minutes=7,
)


def _ties() -> torch.Tensor:
    """Return weights of which five are equally small."""
    import torch

    return torch.tensor([[0.5, -0.5, 0.5, 2.0], [-0.5, 0.5, -3.0, 1.0]])


BUG = Exercise(
    id="02.2",
    answer="pruned",
    starter='''import torch


def pruned(weight, sparsity):
    """Return `weight` with its smallest weights set to zero."""
    threshold = weight.flatten().kthvalue(int(sparsity * weight.numel())).values
    return torch.where(weight > threshold, weight, 0.0)
''',
    solution='''import torch


def pruned(weight, sparsity):
    """Return `weight` with its smallest weights set to zero."""
    size = weight.abs()
    threshold = size.flatten().kthvalue(int(sparsity * weight.numel())).values
    return torch.where(size > threshold, weight, 0.0)
''',
    wrong={
        "still_drops_negative": _of(
            "threshold = weight.abs().flatten().kthvalue(int(sparsity * weight.numel())).values\n"
            "return torch.where(weight > threshold, weight, 0.0)",
            "pruned(weight, sparsity)",
        ),
        "loses_signs": _of(
            "size = weight.abs()\n"
            "threshold = size.flatten().kthvalue(int(sparsity * weight.numel())).values\n"
            "return torch.where(size > threshold, size, 0.0)",
            "pruned(weight, sparsity)",
        ),
        "signed_threshold": _of(
            "threshold = weight.flatten().kthvalue(int(sparsity * weight.numel())).values\n"
            "return torch.where(weight.abs() > threshold, weight, 0.0)",
            "pruned(weight, sparsity)",
        ),
        "drops_large": _of(
            "size = weight.abs()\n"
            "threshold = size.flatten().kthvalue(int(sparsity * weight.numel())).values\n"
            "return torch.where(size <= threshold, weight, 0.0)",
            "pruned(weight, sparsity)",
        ),
    },
    cases={
        "8 × 8, 50 %": lambda: (_random(8, 8, seed=4), 0.5),
        "8 × 8, 90 %": lambda: (_random(8, 8, seed=5), 0.9),
        "5 × 5, 60 %": lambda: (_random(5, 5), 0.6),
    },
    grids=lambda answer: (("before", _random(5, 5).tolist()), ("after", answer(_random(5, 5), 0.6).tolist())),
    minutes=5,
    is_bug=True,
)


def _check_levels(answer: Any) -> Finding:
    """Judge levels per layer by the weights that stay and by the losses that were measured layer by layer."""
    values: dict[str, Any] = {"given": answer, "layers": ", ".join(WEIGHTS), "levels": ", ".join(map(str, LEVELS))}
    if not isinstance(answer, Mapping) or set(answer) != set(WEIGHTS) or not set(answer.values()) <= set(LEVELS):
        return Finding("try_again", "other_layers", values)
    left = sum(size * (1 - answer[name]) for name, size in WEIGHTS.items()) / sum(WEIGHTS.values())
    lost = {name: DROPS[name][LEVELS.index(level)] for name, level in answer.items()}
    worst = max(lost, key=lambda name: lost[name])
    values |= {"left": f"{left:.1%}", "lost": f"{sum(lost.values()):.1f}", "worst": worst, "worst_lost": lost[worst]}
    bars = tuple((f"{name} ({answer[name]:.0%})", points, f"{points:g} points") for name, points in lost.items())
    if left > MOST_LEFT:
        return Finding("try_again", "too_many_left", values, bars=bars)
    if sum(lost.values()) <= MOST_LOST:
        return Finding("ok", values=values, bars=bars)
    if len(set(answer.values())) == 1:
        return Finding("try_again", "uniform", values, bars=bars)
    return Finding("try_again", "first_layer" if worst == "blocks.0.conv" else "too_strong", values, bars=bars)


def _levels(*levels: float) -> str:
    return f"levels = {dict(zip(WEIGHTS, levels))}\n"


LEVELS_PER_LAYER = Exercise(
    id="02.3",
    answer="levels",
    starter="levels = ...  # layer: share of its weights that become zero\n",
    solution="""levels = {
    "blocks.0.conv": 0.0,
    "blocks.1.conv": 0.7,
    "blocks.2.conv": 0.8,
    "classifier": 0.7,
}
""",
    wrong={
        "uniform": _levels(0.8, 0.8, 0.8, 0.8),
        "first_layer": _levels(0.7, 0.7, 0.8, 0.7),
        "too_many_left": _levels(0.0, 0.5, 0.7, 0.5),
        "too_strong": _levels(0.0, 0.9, 0.8, 0.8),
        "other_layers": 'levels = {"conv1": 0.5}\n',
    },
    check=_check_levels,
    minutes=8,
)

REMOVE_HEAD = "without_channels(first, bias, second, keep)"


def _remove(lines: str) -> str:
    return _of(lines, REMOVE_HEAD)


def _layers(outputs: int, seed: int, keep: list[int]) -> tuple[Any, ...]:
    return _random(outputs, 4, seed=seed), _random(outputs, seed=seed + 1), _random(3, outputs, seed=seed + 2), keep


REMOVE = Exercise(
    id="02.4",
    answer="without_channels",
    starter='''import torch


def without_channels(first, bias, second, keep):
    """Return smaller (first, bias, second) that hold only the channels `keep` between the two layers."""
    ...
''',
    solution='''import torch


def without_channels(first, bias, second, keep):
    """Return smaller (first, bias, second) that hold only the channels `keep` between the two layers."""
    return first[keep], bias[keep], second[:, keep]
''',
    wrong={
        "forgets_bias": _remove("return first[keep], bias, second[:, keep]"),
        "wrong_axis": _remove("return first[:, keep], bias[keep], second[keep]"),
        "one_layer_only": _remove("return first[keep], bias[keep], second"),
        "only_masks": _remove(
            "mask = torch.zeros(len(bias))\nmask[keep] = 1\nreturn first * mask[:, None], bias * mask, second * mask"
        ),
        "removes_keep": _remove(
            "rest = [i for i in range(len(bias)) if i not in keep]\nreturn first[rest], bias[rest], second[:, rest]"
        ),
    },
    cases={
        "4 → 6 → 3, keep 0 2 3": lambda: _layers(6, 10, [0, 2, 3]),
        "4 → 5 → 3, keep 0 1": lambda: _layers(5, 20, [0, 1]),
        "4 → 3 → 3, keep 2": lambda: _layers(3, 30, [2]),
    },
    minutes=6,
)

LESSON = Lesson(
    number="02",
    name="pruning",
    minutes=45,
    run_seconds=90,
    exercises=(MASK, BUG, LEVELS_PER_LAYER, REMOVE),
    questions=(
        Question("02.p1", "choice", "same", choices=("five", "two", "same"), limits=(0.35, 0.75)),
        Question("02.p2", "number", 3.9, unit="times"),
        Question(
            "02.d1",
            "decision",
            {"method": "channels", "because": "dense_kernels"},
            fields={"method": ("zeros", "channels", "neither"), "because": ("dense_kernels", "download", "accuracy")},
        ),
    ),
    papers=(Paper("02.r1", "Han et al., arXiv 1506.02626, table 1", low=-1.5, high=1.5, unit="points"),),
    fast={"epochs": 4, "recover_epochs": 2, "pairs": 6, "restarts": 1},
)
