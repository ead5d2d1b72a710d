"""The fastest of several files of one model: alternately taken times decide, a loss of quality disqualifies, ties are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.compare.crafted import interleaved, run
from workbench.compare import Fastest, fastest
from workbench.nouns import Run


def in_format(root: Path, name: str, ratio: float, *, timed_with: str = "onnx-01", **options: Any) -> Run:
    """A run whose file takes `ratio` of the time of the reference, timed with it."""
    seed = sum(map(ord, name))
    this, other = interleaved(np.random.default_rng(seed), ratio)
    made = run(root, f"{name}-01", reference=timed_with, times={"this_ms": this, "reference_ms": other}, **options)
    return replace(made, job={**made.job, "format": {"use": name}})


@pytest.fixture
def reference(tmp_path: Path) -> Run:
    this, _ = interleaved(np.random.default_rng(1), 1.0)
    made = run(tmp_path, "onnx-01", times={"this_ms": this})
    return replace(made, job={**made.job, "format": {"use": "onnx"}})


def reasons(found: Fastest) -> dict[str, str]:
    return {rival.format: rival.reason for rival in found.rivals}


def test_the_lowest_ratio_to_the_common_reference_wins_and_the_others_get_theirs(tmp_path: Path) -> None:
    runs = [in_format(tmp_path, "coded", 1.5), in_format(tmp_path, "openvino", 0.5), in_format(tmp_path, "pt2", 2.0)]
    found = fastest(runs)
    assert found.winner is runs[1]
    assert [rival.format for rival in found.rivals] == ["coded", "pt2"]
    assert found.rivals[0].ratio == pytest.approx(3.0, rel=0.05) and found.rivals[1].ratio == pytest.approx(4, rel=0.05)
    assert "through onnx-01" in found.rivals[0].how
    assert "openvino is the fastest of 3 formats" in found.why[0]


def test_the_reference_itself_takes_part(tmp_path: Path, reference: Run) -> None:
    found = fastest([reference, in_format(tmp_path, "pt2", 2.0)])
    assert found.winner is reference and found.rivals[0].how == "measured together"


def test_a_file_that_loses_more_than_a_point_on_validation_cannot_win(tmp_path: Path) -> None:
    runs = [in_format(tmp_path, "onnx_like", 1.0), in_format(tmp_path, "openvino", 0.5, wrong=range(11))]
    found = fastest(runs)
    assert found.winner is runs[0]
    assert "loses 1.10 points" in reasons(found)["openvino"]
    within = in_format(tmp_path, "pt2", 0.5, wrong=range(9))
    won = fastest([runs[0], within])
    assert won.winner is within and "loses 0.90 points" in " ".join(won.why) and "is not shown" in " ".join(won.why)


def test_test_answers_do_not_count(tmp_path: Path) -> None:
    runs = [in_format(tmp_path, "a", 1.0), in_format(tmp_path, "b", 0.5, wrong_test=range(500))]
    assert fastest(runs).winner is runs[1]


def test_of_those_that_cannot_be_told_apart_the_smaller_file_is_taken(tmp_path: Path) -> None:
    runs = [in_format(tmp_path, "big", 1.0, bytes=2000), in_format(tmp_path, "small", 1.001, bytes=1000)]
    found = fastest(runs)
    assert found.winner is runs[1] and found.rivals[0].is_tied
    assert "can't be told apart" in found.why[0] and "fewest bytes" in found.why[0]


def test_times_taken_together_later_decide_where_there_are_some(tmp_path: Path) -> None:
    runs = [in_format(tmp_path, "big", 1.0, bytes=2000), in_format(tmp_path, "small", 1.001, bytes=1000)]
    slower, faster = interleaved(np.random.default_rng(7), 1.2)
    samples = {("big-01", "small-01"): (faster, slower), ("small-01", "big-01"): (slower, faster)}
    found = fastest(runs, lambda a, b: samples.get((a.run_id, b.run_id)))
    assert found.winner is runs[0]
    assert found.rivals[0].how == "measured together" and found.rivals[0].ratio == pytest.approx(1.2, rel=0.03)


def test_failed_and_untimed_runs_say_so(tmp_path: Path, reference: Run) -> None:
    failed = replace(
        in_format(tmp_path, "pt2", 0.1, error={"message": "no space"}), status="failed", measurements=()
    )  # fmt: skip
    untimed = in_format(tmp_path, "coded", 0.1, ms=None)
    found = fastest([failed, untimed, reference])
    assert found.winner is reference
    assert reasons(found)["coded"] == "its latency was not measured"
    assert "no space" in reasons(found)["pt2"]
    assert fastest([untimed]).winner is None


def test_files_that_were_never_timed_together_have_no_fastest(tmp_path: Path) -> None:
    runs = [in_format(tmp_path, "a", 1.0, timed_with="x-01"), in_format(tmp_path, "b", 0.5, timed_with="y-01")]
    found = fastest(runs)
    assert found.winner is None and "never timed together" in found.why[0]
    assert {rival.run_id for rival in found.rivals} == {"a-01", "b-01"}
