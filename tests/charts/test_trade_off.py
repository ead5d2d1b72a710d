"""The trade-off shows estimates as estimates, what was picked by shape, and what an estimate became."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from crafted_runs import crafted_run

from workbench.charts import _many
from workbench.charts.estimated import estimate_point, predicted
from workbench.charts.pareto import Marks, pareto_data, pareto_figure
from workbench.compare import pareto
from workbench.errors import InvalidInput
from workbench.nouns import Cost, Measurement, Run

COST = Cost(100_000, 90_000, 22_000, 10_000, 0.02, 0.08, 90_000_000)
INT8 = ({"use": "train"}, {"use": "int8_dynamic"})


def base() -> Run:
    return crafted_run("lenet_5-base-01", size=250_000, accuracy=0.97, p50=0.05)


def small() -> Run:
    return crafted_run("lenet_5-small-01", steps=INT8, size=70_000, accuracy=0.96, p50=0.03, parent="lenet_5-base-01")


def named(figure: object, name: str) -> object:
    return next(trace for trace in figure.data if trace.name == name)  # type: ignore[attr-defined]


def test_a_latency_is_predicted_at_the_geometric_middle_of_its_band() -> None:
    found = predicted(COST, "latency_ms_p50")
    assert found is not None and found.value == pytest.approx(0.04) and found.band == (0.02, 0.08)
    assert predicted(COST, "accuracy") is None
    assert predicted(replace(COST, latency_ms_low=None), "latency_ms_p50") is None


def test_a_quantity_that_nothing_predicts_stands_at_the_parents_and_says_so() -> None:
    point = estimate_point(COST, base(), x="artifact_bytes", y="accuracy", size_band=(95_000, 105_000))
    measured = base().get("accuracy", split="validation")
    assert point is not None and measured is not None
    assert (point.x, point.x_interval, point.y) == (100_000, (95_000, 105_000), measured.value)
    assert point.unknown == ("y",) and "not estimated, drawn at that of lenet_5-base-01" in point.details[1]
    assert estimate_point(COST, base(), x="artifact_bytes", y="energy_joules") is None


def test_an_estimate_is_hollow_has_its_band_and_its_number_and_spans_what_is_unknown() -> None:
    point = estimate_point(COST, base(), x="artifact_bytes", y="accuracy", size_band=(95_000, 105_000))
    data = pareto_data([base(), small()], estimates=[point])
    figure = pareto_figure(data)
    trace = named(figure, "as trained (estimated)")
    assert trace.marker.symbol.endswith("-open") and list(trace.customdata) == ["estimate:0"]
    assert list(trace.error_x.array) == [5_000] and "estimated, not measured" in trace.hovertext[0]
    band = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert [(shape.x0, shape.x1, shape.yref) for shape in band] == [(95_000, 105_000, "paper")]
    assert "1 estimated, not measured" in figure.layout.meta["alt"]


def test_a_measurement_is_joined_to_what_was_estimated_before_it_ran() -> None:
    run = small()
    axes = {"x": "artifact_bytes", "y": "latency_ms_p50"}
    point = estimate_point(COST, run, **axes, size_band=(95_000, 105_000), became=run.run_id)
    figure = pareto_figure(pareto_data([base(), run], **axes, estimates=[point]))
    line = named(figure, "estimate → measured")
    assert list(line.x[:2]) == [70_000, 100_000] and list(line.y[:2]) == pytest.approx([0.03, 0.04])
    said = named(figure, "int8_dynamic").hovertext[0]
    assert "1.43 × what was measured, outside its band" in said and "1.33 × what was measured, inside its band" in said


def test_what_is_picked_shows_by_shape_and_leaves_the_traces_in_place() -> None:
    data = pareto_data([base(), small()])
    plain = pareto_figure(data)
    marks = Marks(selected=["lenet_5-base-01"], dimmed=["lenet_5-small-01"], recommended="lenet_5-base-01",
                  a="lenet_5-base-01", b="lenet_5-small-01")  # fmt: skip
    marked = pareto_figure(data, marks=marks)
    assert [trace.uid for trace in marked.data] == [trace.uid for trace in plain.data]
    assert marked.layout.uirevision == plain.layout.uirevision
    faded, bright = named(marked, "int8_dynamic"), named(marked, "as trained")
    assert faded.marker.opacity[0] < 1 and faded.marker.size[0] < named(plain, "int8_dynamic").marker.size[0] - 2
    assert bright.marker.size[0] == named(plain, "as trained").marker.size[0]
    assert "does not fit the budgets" in faded.hovertext[0] and faded.error_y.visible is False
    assert list(named(marked, "recommended").text) == ["recommended"] and list(named(marked, "B").text) == ["<b>B</b>"]
    assert len(named(marked, "selected").x) == 1 and not len(named(plain, "selected").x)
    alt = marked.layout.meta["alt"]
    assert "Recommended: as trained." in alt and "1 outside the budgets." in alt and "1 selected." in alt


def test_rings_leave_clicks_to_the_points_which_carry_their_run_ids() -> None:
    marks = Marks(selected=["lenet_5-base-01"], recommended="lenet_5-base-01", a="lenet_5-base-01")
    figure = pareto_figure(pareto_data([base(), small()]), marks=marks)
    clickable = [trace for trace in figure.data if trace.hoverinfo != "skip"]
    assert {run_id for trace in clickable for run_id in trace.customdata} == {"lenet_5-base-01", "lenet_5-small-01"}


def test_the_area_of_a_marker_is_in_proportion_and_a_missing_value_is_told() -> None:
    def sized(run: Run, memory: float | None) -> Run:
        others = tuple(each for each in run.measurements if each.name != "peak_memory_bytes")
        more = () if memory is None else (Measurement("peak_memory_bytes", "bytes", "lower", memory),)
        return replace(run, measurements=(*others, *more))

    runs = [sized(base(), 4e8), sized(small(), 1e8), sized(replace(small(), run_id="lenet_5-none-01"), None)]
    figure = pareto_figure(pareto_data(runs, size="peak_memory_bytes"))
    px = {
        run_id: size
        for trace in figure.data
        if trace.customdata is not None
        for run_id, size in zip(trace.customdata, trace.marker.size)
    }
    assert (px["lenet_5-base-01"] / px["lenet_5-small-01"]) ** 2 == pytest.approx(4)
    hover = " ".join(text for trace in figure.data if trace.hovertext is not None for text in trace.hovertext)
    assert "peak memory of a fresh process (bytes): not measured" in hover
    assert "area of a marker: peak memory" in " ".join(note.text for note in figure.layout.annotations)
    with pytest.raises(InvalidInput, match="no run has a measured 'energy_joules'"):
        pareto_data(runs, size="energy_joules")


def test_the_quick_look_leaves_the_front_as_it_is() -> None:
    random = np.random.default_rng(0)
    points = {
        f"p{index}": {"bytes": float(x), "accuracy": float(y)}
        for index, (x, y) in enumerate(random.integers(0, 12, (400, 2)))  # many ties and duplicates
    }
    points |= {"none": {"bytes": None, "accuracy": 1.0}, "nan": {"bytes": 1.0, "accuracy": float("nan")}}
    axes = {"bytes": "lower", "accuracy": "higher"}
    exact, kept = pareto(points, axes), _many.candidates(points, axes)
    assert len(kept) < len(points) / 4
    quick = pareto({name: points[name] for name in kept}, axes)
    assert set(quick.members) == set(exact.members) and quick.left_out == exact.left_out
    assert {frozenset(group) for group in quick.duplicates} == {frozenset(group) for group in exact.duplicates}


def test_of_too_many_points_those_that_lie_on_others_are_left_out_and_no_special_one() -> None:
    one = pareto_data([base(), small()])
    crowd = tuple(replace(one.points[0], run_id=f"r{index}", on_front=False) for index in range(3000))
    data = replace(one, points=(*one.points, *crowd))
    drawn = _many.thinned(data, 1000, Marks(selected=["r7"]))
    assert {point.run_id for point in drawn} == {"lenet_5-base-01", "lenet_5-small-01", "r7"}
    assert len(_many.thinned(data, 5000, Marks())) == 3002


def test_energy_that_was_not_metered_says_so() -> None:
    how = {"estimated": True, "source": "estimate: CPU seconds × 5 W per core"}
    runs = [
        replace(
            run,
            measurements=(*run.measurements, Measurement("energy_joules", "J / example", "lower", 0.1, conditions=how)),
        )
        for run in (base(), small())
    ]
    hover = pareto_figure(pareto_data(runs, x="energy_joules")).data[-1].hovertext[0]
    assert "not metered: estimate: CPU seconds" in hover


def test_plotly_can_select_every_trace_by_its_uid() -> None:
    """A uid goes into a CSS selector as it is: one with a blank fails only where a browser draws error bars."""
    runs = [crafted_run("lenet_5-base000000-01", steps=({"use": "train"},))]
    traces = pareto_figure(pareto_data(runs)).data
    assert all(re.fullmatch(r"[A-Za-z][\w-]*", trace.uid) for trace in traces)
    assert len({trace.uid for trace in traces}) == len(traces)
