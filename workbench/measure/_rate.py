"""Runs inside a fresh process: predictions per second, window by window."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from workbench.measure._timing import calls_per_sample, inputs_from, sample

WINDOW_SECONDS = 0.02  # long enough that one disturbance doesn't decide a window


def rates(sessions: list[Callable[[], Any]], *, probe: str, batch: int, windows: int) -> dict[str, Any]:
    """Return examples per second in each window, and how many calls a window holds."""
    inputs = inputs_from(probe, batch)
    session = sessions[0]()
    warm = calls_per_sample(session, inputs)
    calls = max(1, math.ceil(WINDOW_SECONDS / sample(session, inputs, warm)))
    return {"rates": [batch / sample(session, inputs, calls) for _ in range(windows)], "calls": calls}
