"""What a choice among runs is made of: the budgets that go in, the reasons that come out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from workbench.errors import InvalidInput
from workbench.nouns import Run


@dataclass(frozen=True)
class Budgets:
    """What a chosen run must keep to; None = no limit. Accuracies are those of the validation split."""

    max_bytes: int | None = None  # artifact_bytes
    max_latency_ms: float | None = None  # median of one call
    max_drop: float | None = None  # points of accuracy below the parent (language models: per cent of perplexity)
    max_memory_bytes: int | None = None  # peak of a fresh process
    min_accuracy: float | None = None  # a share in 0..1

    def __post_init__(self) -> None:
        highest = {"max_drop": 100.0, "min_accuracy": 1.0}
        problems = []
        for name, value in asdict(self).items():
            top = highest.get(name, math.inf)
            if value is not None and not 0 <= value <= top:  # NaN fails too
                problems.append(f"{name}: {value!r} is outside 0 ≤ {name}" + (f" ≤ {top:g}" if top < math.inf else ""))
        if problems:
            raise InvalidInput(problems)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Drop:
    """What a run lost against its parent on the validation split; positive is worse."""

    value: float  # measured
    bound: float  # with one-sided 95 % confidence the true drop is below this
    n: int  # examples (language models: sequences)
    unit: str  # "points" | "% of perplexity"
    against: str  # run id of the parent, or of the baseline that was given


@dataclass(frozen=True)
class Choice:
    """The run to take, and why not each other one."""

    recommended: Run | None  # None = no run fits
    why: tuple[str, ...]
    why_not: Mapping[str, list[str]]  # run id -> reasons, for every run but the recommended one
    unproven: Run | None = None  # best of those that fit but for too few examples to show that the drop fits
    fitting: tuple[str, ...] = ()  # run ids that keep to every budget; those that can be ranked first, best first
    not_shown: tuple[str, ...] = ()  # run ids like `unproven`: all that speaks against them is too few examples
    drops: Mapping[str, Drop] = field(default_factory=dict)
    budgets: Budgets = Budgets()

    def to_json(self) -> dict[str, Any]:
        """Return plain values; runs by their ids."""
        return {
            "recommended": self.recommended.run_id if self.recommended else None,
            "unproven": self.unproven.run_id if self.unproven else None,
            "fitting": list(self.fitting),
            "not_shown": list(self.not_shown),
            "why": list(self.why),
            "why_not": {run_id: list(reasons) for run_id, reasons in self.why_not.items()},
            "drops": {run_id: asdict(drop) for run_id, drop in self.drops.items()},
            "budgets": self.budgets.to_json(),
        }
