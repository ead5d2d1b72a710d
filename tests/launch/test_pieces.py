"""The CPU seconds of a run's pieces add up."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench import recorder


def test_a_piece_inside_another_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 4.0, 4.5, 5.0, 7.0])
    monkeypatch.setattr(recorder, "cpu_seconds", lambda: next(clock))
    said = recorder.Recorder(tmp_path, "run-01")
    with said.piece("distill"):  # 0 → 7
        with said.piece("teacher"):  # 1 → 4
            pass
        with said.piece("teacher"):  # 4.5 → 5
            pass
    assert said.seconds == {"teacher": 3.5, "distill": 3.5}
