"""Quantities are said with unit, interval and n."""

from __future__ import annotations

import pytest

from workbench import wording
from workbench.nouns import Measurement


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (24_306, "24.3 kB"), (-5_000_000, "−5 MB"), (999_900, "1,000 kB")],
)
def test_bytes_are_said_as_people_read_them(count: int, text: str) -> None:
    assert wording.bytes_text(count) == text


def test_a_share_is_said_with_its_interval_and_n() -> None:
    measured = Measurement("accuracy", "share", "higher", 0.9744, 0.9619, 0.9829, "wilson95", 877, 900)
    assert wording.measured_text(measured) == "97.4% [96.2%, 98.3%], n = 900"
    assert wording.measured_text(Measurement("artifact_bytes", "bytes", "lower", 24_306)) == "24.3 kB"


@pytest.mark.parametrize(
    ("lo", "hi", "verdict"),
    [(0.9, 0.99, "faster"), (0.99, 1.01, "cannot be told apart"), (1.01, 1.2, "slower"), (None, None, "no interval")],
)
def test_a_ratio_is_only_called_faster_when_its_interval_says_so(lo: float, hi: float, verdict: str) -> None:
    ratio = Measurement("latency_ratio_to_parent", "this / parent", "lower", 1.0, lo, hi)
    assert wording.ratio_verdict(ratio) == verdict
