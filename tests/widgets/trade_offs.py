"""A session of four runs, and the trade-off panel on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.charts.crafted_runs import crafted_run, with_predictions
from widgets.session import Session
from widgets.trade_off import TradeOff
from workbench.nouns import Run

TARGETS = np.arange(400) % 10
NUM_WRONG = {"parent-01": 4, "small-01": 4, "bad-01": 80, "slow-01": 4}


def made(folder: Path, run_id: str, **values: Any) -> Run:
    """Return a run whose validation answers are wrong NUM_WRONG times of 400."""
    wrong = NUM_WRONG[run_id]
    answers = np.where(np.arange(400) < wrong, (TARGETS + 1) % 10, TARGETS)
    kept = with_predictions(folder / run_id, answers, TARGETS)
    parent = None if run_id == "parent-01" else "parent-01"
    return crafted_run(run_id, accuracy=1 - wrong / 400, folder=kept, parent=parent, **values)


def session_of_four(folder: Path) -> Session:
    """Four runs: the parent, a good small one, a bad tiny one, a slow one; the picked recipe is none of them."""
    pruned = ({"use": "train"}, {"use": "channel_prune", "ratio": 0.5})
    session = Session(folder / "runs", steps=[{"use": "train"}, {"use": "channel_prune", "ratio": 0.25}])
    runs = [
        made(folder, "parent-01", size=500_000, p50=0.10),
        made(folder, "small-01", size=100_000, p50=0.05, steps=pruned),
        made(folder, "bad-01", size=20_000, p50=0.01, steps=pruned),
        made(folder, "slow-01", size=90_000, p50=0.90, steps=pruned),
    ]
    session.runs = tuple(replace(run, job={**run.job, "data": session.data}) for run in runs)
    session.shelf.by_id = {run.run_id: run for run in session.runs}
    return session


def points(panel: TradeOff) -> dict[str, tuple[float, float]]:
    """Return the drawn points by their customdata; what a browser gets."""
    figure = panel._figure()
    return {
        name: (float(x), float(y))
        for trace in figure.data
        if trace.customdata is not None
        for name, x, y in zip(trace.customdata, trace.x, trace.y)
    }
