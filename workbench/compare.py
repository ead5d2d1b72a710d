"""Paired comparison: of two runs, of many under budgets; "cannot be told apart" is a verdict."""

from __future__ import annotations

from workbench._latency_ratio import Ratio, ratio_interval
from workbench._statistics import NonInferiority, PairedAccuracy, non_inferior, paired_accuracy, wilson

__all__ = [
    "NonInferiority",
    "PairedAccuracy",
    "Ratio",
    "non_inferior",
    "paired_accuracy",
    "ratio_interval",
    "wilson",
]
