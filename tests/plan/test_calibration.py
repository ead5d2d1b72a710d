"""Plans are held against what `workbench scale` measured: bytes counted on each process, times of undisturbed rounds."""

from __future__ import annotations

from typing import Any

import pytest

from workbench import ceilings
from workbench.plan import calibration

JOB = {"model": {"use": "tiny_lm", "layers": 4}, "data": {"use": "python_source", "length": 32, "num_examples": 200},
       "steps": [{"use": "train", "batch_size": 8}], "layout": {"use": "sharded"}, "launcher": {"use": "torchrun", "nproc": 2}}  # fmt: skip
ROUND = {"solo_s": 0.1, "independent_s": 0.1, "together_s": 0.2, "kept": True}


def record(**point: Any) -> dict[str, Any]:
    measured = {"processes": 2, "state_bytes": [1_000_000, 900_000], "rounds": [ROUND, {**ROUND, "kept": False}]}
    return {
        "date": "2026-12-01",
        "job": JOB,
        "title": "tiny_lm on python_source, sharded",
        "points": [{**measured, **point}],
    }


@pytest.fixture(autouse=True)
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "known", lambda: {"float32_gflops": 50.0})
    monkeypatch.setattr("os.cpu_count", lambda: 2)


def test_the_fullest_process_is_compared_and_times_take_kept_rounds() -> None:
    (found,) = calibration.compare([record()])
    assert found.title == "tiny_lm on python_source, shard 2" and found.state_measured == 1_000_000
    assert found.state_error == found.state_planned / 1_000_000 - 1
    assert found.seconds_measured == 0.2 and found.seconds_planned is not None
    assert 0.1 < found.seconds_planned < 0.3, "one process's own time and what two exchange"
    (slower,) = calibration.compare([record(rounds=[{**ROUND, "solo_s": 0.5}])])
    assert slower.seconds_planned == pytest.approx(found.seconds_planned + 0.4)
    (disturbed,) = calibration.compare([record(rounds=[{**ROUND, "kept": False}])])
    assert disturbed.time_error is None and "no time was measured" in calibration.in_words([disturbed])


def test_more_processes_than_cores_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    (two,) = calibration.compare([record()])
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    (one,) = calibration.compare([record()])
    assert one.seconds_planned > two.seconds_planned + 0.09


def test_the_newest_measurement_of_a_layout_counts_and_old_ones_without_bytes_do_not() -> None:
    newer = {**record(state_bytes=[2_000_000, 1]), "date": "2026-12-02"}
    (found,) = calibration.compare([newer, record(), record(state_bytes=None)])
    assert found.state_measured == 2_000_000
    assert "bar 2%" in calibration.in_words([found]) and "No plan" in calibration.in_words([])
