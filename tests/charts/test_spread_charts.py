"""Charts of trainings that are spread over processes: times, memory, timetable, equality, scaling."""

from __future__ import annotations

import json
from typing import Any

import pytest

from workbench.charts.loss_equality import in_words, loss_equality_data, loss_equality_figure
from workbench.charts.pipeline_schedule import pipeline_schedule_data, pipeline_schedule_figure
from workbench.charts.rank_memory import rank_memory_data, rank_memory_figure
from workbench.charts.scaling import scaling_data, scaling_figure
from workbench.charts.step_time import step_time_data, step_time_figure
from workbench.extents import Extents


def drawn(figure: Any) -> dict[str, Any]:
    return json.loads(figure.to_json())


def test_step_times_are_stacked_in_milliseconds_and_told_in_words() -> None:
    stacks = [("rank 0", {"compute": 0.03, "communication": 0.01, "idle": 0.0}), ("rank 1", {"compute": 0.02, "communication": 0.01, "idle": 0.01}),
              ("rank 2", {})]  # fmt: skip
    figure = drawn(step_time_figure(step_time_data(stacks)))
    assert [trace["name"] for trace in figure["data"]] == [
        "computing", "sending and receiving", "waiting for others or for a core",
    ]  # fmt: skip
    assert figure["data"][0]["y"] == ["rank 0", "rank 1"] and figure["data"][0]["x"] == pytest.approx([30, 20])
    assert "40 ms on 2 processes: computing 62%" in figure["layout"]["meta"]["alt"]
    assert "no update is done yet" in drawn(step_time_figure(step_time_data([])))["layout"]["meta"]["alt"]


def test_memory_leaves_out_what_no_process_has_and_marks_one_process() -> None:
    parts = {"parameters": 4e6, "gradients": 4e6, "optimizer": 8e6, "gathered": 0.0, "activations": 2e6}
    figure = drawn(rank_memory_figure(rank_memory_data([parts, parts], one=30e6)))
    assert len(figure["data"]) == 4 and figure["layout"]["shapes"][0]["x0"] == 30e6
    assert "The fullest of 2 processes needs about 18 MB; one process alone 30 MB" in figure["layout"]["meta"]["alt"]


def test_a_timetable_has_a_box_for_each_pass() -> None:
    figure = drawn(pipeline_schedule_figure(pipeline_schedule_data(Extents(pipeline=2, microbatches=4))))
    forward, backward = figure["data"]
    assert len(forward["x"]) == len(backward["x"]) == 8 and set(forward["x"]) == {1.0} and set(backward["x"]) == {2.0}
    assert "nothing to do for 20%" in figure["layout"]["meta"]["alt"]


def test_losses_are_compared_where_both_have_told() -> None:
    data = loss_equality_data({"two": [(1, 2.0), (3, 1.0)], "one": [(1, 2.0), (2, 1.5), (3, 1.0 + 1e-9)], "none": []})
    assert data.gaps["one"] == (pytest.approx(1e-9), 2) and "none" not in data.curves
    assert "one 1e-09 in 2 updates" in in_words(data)
    assert len(drawn(loss_equality_figure(data))["data"]) == 2


def test_scaling_is_the_median_with_its_spread_beside_the_control() -> None:
    record = {"title": "tiny", "thrown": 1, "points": [
        {"processes": 2, "together": [1.7, 1.8, 1.6], "independent": [2.0, 1.9, 1.8]},
    ]}  # fmt: skip
    data = scaling_data(record)
    assert data.points[1].together == (1.7, 1.6, 1.8) and data.points[1].efficiency == pytest.approx(1.7 / 1.9)
    figure = drawn(scaling_figure(data))
    assert figure["data"][2]["error_y"]["array"] == pytest.approx([0.0, 0.1])
    assert "2 processes 1.70 × one (89% of what independent ones do)" in figure["layout"]["meta"]["alt"]
    assert "1 disturbed rounds" in figure["layout"]["meta"]["alt"]
