"""Charts over many runs: parallel lines, the roofline, training curves, estimates against measurements."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crafted_runs import crafted_run

from workbench.charts.parallel import parallel_data, parallel_figure
from workbench.charts.reliability import reliability_data, reliability_figure
from workbench.charts.roofline import roofline_data, roofline_figure
from workbench.charts.training import training_data, training_figure
from workbench.errors import InvalidInput
from workbench.nouns import Cost, Measurement, Run

INT8 = ({"use": "train"}, {"use": "int8_dynamic"})
TUNED = ({"use": "train"}, {"use": "magnitude_prune", "sparsity": 0.5}, {"use": "train", "epochs": 3})
CEILINGS = {"machine": {"cpu": "Example CPU"}, "float32_gflops": 50.0, "int8_gflops": 100.0, "read_gb_per_s": 10.0}


def two() -> list[Run]:
    return [
        crafted_run("big-01", size=400_000, accuracy=0.98, p50=0.08),
        crafted_run("small-01", steps=INT8, size=100_000, accuracy=0.9, p50=0.02, parent="big-01"),
    ]


def stored(run: Run, **conditions: Any) -> Run:
    return replace(run, measurements=tuple(
        replace(each, conditions={**each.conditions, **conditions}) if each.name == "artifact_bytes" else each
        for each in run.measurements
    ))  # fmt: skip


def test_on_every_vertical_the_best_is_at_the_top_whatever_is_better() -> None:
    data = parallel_data(two(), ("artifact_bytes", "accuracy"))
    heights = {line.run_id: line.heights for line in data.lines}
    assert heights == {"big-01": (0.0, 1.0), "small-01": (1.0, 0.0)}
    titles = parallel_figure(data).layout.xaxis.ticktext
    assert "lowest at top" in titles[0] and "highest at top" in titles[1] and "colours lines" in titles[1]
    assert "(bytes)" in titles[0].replace("<br>", " ") and "(%)" in titles[1]


def test_ticks_stand_at_their_values_on_a_scale_of_logarithms() -> None:
    runs = [*two(), crafted_run("middle-01", size=200_000, accuracy=0.95)]
    vertical = parallel_data(runs, ("artifact_bytes", "accuracy")).verticals[0]
    ticks = {text: height for height, text in vertical.ticks}
    assert ticks["400 kB"] == 0 and ticks["100 kB"] == 1 and 0 < ticks["200 kB"] < 1
    spread = [replace(run, measurements=(*run.measurements, Measurement("energy_joules", "J / example", "lower", value)))
              for run, value in zip(two(), (1.0, 1000.0))]  # fmt: skip
    ticks = {text: height for height, text in parallel_data(spread, ("energy_joules", "accuracy")).verticals[0].ticks}
    assert ticks["10"] == pytest.approx(2 / 3) and ticks["100"] == pytest.approx(1 / 3)


def test_every_line_carries_its_run_id_and_runs_that_lack_a_value_are_listed() -> None:
    runs = [*two(), crafted_run("untimed-01", p50=None), crafted_run("broken-01", status="failed")]
    data = parallel_data(runs, ("latency_ms_p50", "accuracy"))
    assert data.missing == (("untimed-01", "no latency ms p50"), ("broken-01", "failed: raised: no space <left> here"))
    figure = parallel_figure(data, selected=["small-01"])
    assert {run_id for trace in figure.data for run_id in trace.customdata} == {"big-01", "small-01"}
    chosen = next(trace for trace in figure.data if trace.name == "selected")
    assert set(chosen.customdata) == {"small-01"} and "Selected: lenet_5: int8 dynamic" in figure.layout.meta["alt"]


def test_lines_need_measurements_that_runs_have() -> None:
    with pytest.raises(InvalidInput, match="acuracy.*did you mean 'accuracy'.*two measurements"):
        parallel_data(two(), ("acuracy",))
    with pytest.raises(InvalidInput, match="no run has all of"):
        parallel_data(
            [crafted_run("a-01", p50=None), crafted_run("b-01", accuracy=None)], ("latency_ms_p50", "accuracy")
        )
    assert [vertical.axis.name for vertical in parallel_data(two()).verticals][:2] == [
        "artifact_bytes",
        "latency_ms_p50",
    ]


def test_a_run_stands_at_its_operations_per_byte_and_per_second() -> None:
    run = stored(two()[0], weights="float32")
    data = roofline_data([run], macs={"big-01": 800_000}, ceilings=CEILINGS)
    spot = data.spots[0]
    assert spot.intensity == pytest.approx(1.6e6 / 400_000) and spot.gflops == pytest.approx(1.6e6 / 0.08e-3 / 1e9)
    assert spot.share == pytest.approx(20 / 40) and spot.limited_by == "memory"  # 4 operations/byte × 10 GB/s
    assert spot.slowest is not None and spot.slowest < spot.gflops and "activations not counted" in spot.counted
    with_more = roofline_data([run], macs={"big-01": 800_000}, ceilings=CEILINGS, activations={"big-01": 100_000})
    assert with_more.spots[0].intensity == pytest.approx(3.2) and "activations" in with_more.spots[0].counted


def test_a_run_is_held_against_the_ceiling_of_its_own_precision() -> None:
    runs = [stored(two()[0], weights="float32"), stored(two()[1], weights="int8")]
    data = roofline_data(runs, macs={"big-01": 10**7, "small-01": 10**7}, ceilings=CEILINGS)
    assert [(roof.precision, roof.ridge) for roof in data.roofs] == [("float32", 5.0), ("int8", 10.0)]
    assert [spot.precision for spot in data.spots] == ["float32", "int8"]
    figure = roofline_figure(data)
    dashes = [trace.line.dash for trace in figure.data if trace.mode == "lines"]
    assert len(set(dashes)) == 2 and "Example CPU, one thread" in figure.layout.annotations[0].text


def test_without_ceilings_or_operations_the_roofline_says_why() -> None:
    nothing = roofline_figure(roofline_data(two(), macs={"big-01": 5}, ceilings=None))
    assert not nothing.data and "workbench doctor" in nothing.layout.meta["alt"]
    timed_on_two = replace(two()[1], measurements=tuple(
        replace(each, conditions={**each.conditions, "threads": 2}) if each.unit == "ms" else each
        for each in two()[1].measurements
    ))  # fmt: skip
    data = roofline_data([two()[0], timed_on_two], macs={"small-01": 5}, ceilings=CEILINGS)
    assert data.missing == (
        ("big-01", "no operations"), ("small-01", "timed on 2 threads; the ceilings are those of one"),
    )  # fmt: skip
    assert "no run has both" in data.reason


def told(folder: Path, run: Run, part: str, losses: dict[int, float], *, total: int = 40) -> Run:
    """Write the progress of one training step; returns the run with its folder."""
    folder.mkdir(exist_ok=True)
    events = [
        {"kind": "progress", "part": part, "done": done, "total": total, "unit": "batches", "values": {"loss": loss}}
        for done, loss in losses.items()
    ]
    with (folder / "events.jsonl").open("a") as file:
        file.write("".join(json.dumps(event) + "\n" for event in [{"kind": "log", "text": "load begins"}, *events]))
    return replace(run, folder=str(folder))


def test_a_training_curve_is_what_the_run_told_step_by_step(tmp_path: Path) -> None:
    run = told(tmp_path / "a", crafted_run("tuned-01", steps=TUNED), "steps[0].train", {10: 2.0, 40: 0.5})
    run = told(tmp_path / "a", run, "steps[2].train", {10: 0.8, 40: 0.4})
    (tmp_path / "a" / "events.jsonl").open("a").write('{"kind":"progress","part":"steps[2].train","values":{"loss":1}')
    data = training_data([run, crafted_run("gone-01", folder=str(tmp_path / "nowhere"))])
    assert [(curve.part, list(curve.x), list(curve.middle)) for curve in data.curves] == [
        ("steps[0].train", [10, 40], [2.0, 0.5]), ("steps[2].train", [10, 40], [0.8, 0.4]),
    ]  # fmt: skip
    assert data.missing == (("gone-01", "it kept no events.jsonl"),)
    figure = training_figure(data)
    assert len({trace.line.dash for trace in figure.data}) == 2 and "(nats)" in figure.layout.yaxis.title.text
    share = training_data([run], along="share").curves[0]
    assert list(share.x) == [0.25, 1.0]


def test_runs_that_differ_by_their_seed_make_one_line_with_a_band(tmp_path: Path) -> None:
    runs = []
    for seed, losses in enumerate(({10: 2.0, 30: 1.0}, {10: 1.0, 20: 0.6, 30: 0.2})):
        run = crafted_run(f"seed{seed}-01")
        runs.append(told(tmp_path / str(seed), replace(run, job={**run.job, "seed": seed}), "steps[0].train", losses))
    (curve,) = training_data(runs).curves
    assert curve.run_ids == ("seed0-01", "seed1-01") and (curve.x[0], curve.x[-1]) == (10, 30)
    assert (curve.low[-1], curve.middle[-1], curve.high[-1]) == pytest.approx((0.2, 0.6, 1.0))
    figure = training_figure(training_data(runs))
    assert [trace.fill for trace in figure.data] == [None, "tonexty", None] and "2 seeds" in figure.data[2].name


def test_training_that_came_from_the_cache_is_shown_from_the_run_that_did_it(tmp_path: Path) -> None:
    first = told(tmp_path / "a", crafted_run("first-01"), "steps[0].train", {10: 2.0, 40: 0.5})
    cached = told(tmp_path / "b", crafted_run("tuned-01", steps=TUNED), "steps[2].train", {10: 0.8, 40: 0.4})
    (own, lent) = training_data([cached], others=[first]).curves
    assert (own.part, own.trained_in) == ("steps[2].train", ())
    assert (lent.part, lent.trained_in, list(lent.middle)) == ("steps[0].train", ("first-01",), [2.0, 0.5])
    both = training_data([first, cached], others=[first]).curves
    assert [(curve.run_ids, curve.part, curve.shared_by) for curve in both] == [
        (("first-01",), "steps[0].train", ("tuned-01",)), (("tuned-01",), "steps[2].train", ()),
    ]  # fmt: skip
    other_start = crafted_run("other-01", steps=({"use": "train", "epochs": 9}, *TUNED[1:]), folder=cached.folder)
    assert {curve.part for curve in training_data([other_start], others=[first]).curves} == {"steps[2].train"}


def test_an_estimate_is_judged_by_whether_its_band_held() -> None:
    costs = {
        "big-01": Cost(390_000, 0, 0, 1, 0.04, 0.16), "small-01": Cost(50_000, 0, 0, 1, 0.03, 0.12),
    }  # fmt: skip
    bands = {"big-01": (380_000, 410_000), "small-01": (45_000, 55_000)}
    data = reliability_data([*two(), crafted_run("never-01")], costs, size_bands=bands)
    size, latency = data.quantities
    assert [(pair.inside, round(pair.ratio, 3)) for pair in size.pairs] == [(True, 0.975), (False, 0.5)]
    assert [pair.inside for pair in latency.pairs] == [True, False]
    assert "1 of 2 inside the band (50%)" in size.words and "1 of 2" in latency.words
    assert data.missing == (("never-01", "it was not estimated"),)
    figure = reliability_figure(data)
    diagonal = figure.data[0]
    assert list(diagonal.x) == list(diagonal.y)
    rings = [trace for trace in figure.data if trace.name == "outside its band"]
    assert [list(trace.y) for trace in rings] == [[100_000], [0.02]] and all(len(trace.x) == 1 for trace in rings)
    assert "size: 1 of 2 inside" in figure.layout.meta["alt"] and "(ms)" in figure.layout.xaxis2.title.text


def test_a_latency_counts_only_as_it_was_estimated() -> None:
    run = replace(two()[0], measurements=tuple(
        replace(each, conditions={**each.conditions, "batch": 8}) for each in two()[0].measurements if each.unit == "ms"
    ))  # fmt: skip
    data = reliability_data([run], {"big-01": Cost(1, 1, 1, 1, 0.01, 0.1)})
    assert not data.quantities and data.missing == (("big-01", "nothing that was estimated was measured"),)
    assert "no run has both" in reliability_figure(data).layout.meta["alt"]


def test_arrays_go_to_the_browser_not_lists() -> None:
    figure = parallel_figure(parallel_data(two(), ("artifact_bytes", "accuracy")))
    assert all(isinstance(trace.y, np.ndarray) for trace in figure.data)
