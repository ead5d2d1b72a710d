"""Chart data holds what was measured and says what is missing; figures carry units and words for those who can't see."""

from __future__ import annotations

import base64
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from crafted_runs import crafted_run, with_predictions

from workbench.charts import _style, _thumbnail
from workbench.charts.ecdf import ecdf_data, ecdf_figure
from workbench.charts.flips import flip_examples_figure, flips_data, flips_figure
from workbench.charts.pareto import Point, pareto_data, pareto_figure
from workbench.charts.waterfall import waterfall_data, waterfall_figure
from workbench.errors import InvalidInput

CHANNELS = {"use": "magnitude_prune", "sparsity": 0.5}
INT8 = {"use": "int8_dynamic"}


def study() -> list:
    base = crafted_run("lenet_5-base-01", size=250_000, accuracy=0.97, p50=0.05)
    parent = {"parent": base.run_id}
    return [
        base,
        crafted_run("lenet_5-small-01", steps=({"use": "train"}, INT8), size=70_000, accuracy=0.97, p50=0.03,
                    ratio=(0.6, 0.55, 0.65), dense_bytes=60_000, **parent),
        crafted_run("lenet_5-worse-01", steps=({"use": "train"}, CHANNELS), size=260_000, accuracy=0.9, p50=0.06,
                    ratio=(1.2, 1.1, 1.3), **parent),
        crafted_run("lenet_5-failed-01", status="failed", **parent),
    ]  # fmt: skip


def test_the_front_leaves_out_what_is_beaten_and_says_what_is_missing() -> None:
    data = pareto_data(study())
    assert [point.run_id for point in data.front] == ["lenet_5-small-01"]
    assert {point.run_id for point in data.points} == {"lenet_5-base-01", "lenet_5-small-01", "lenet_5-worse-01"}
    assert data.missing == (("lenet_5-failed-01", "failed: raised: no space <left> here"),)


def test_ties_are_all_on_the_front_and_told() -> None:
    twin = replace(study()[1], run_id="lenet_5-twin-01")
    data = pareto_data([*study(), twin])
    assert {point.run_id for point in data.front} == {"lenet_5-small-01", "lenet_5-twin-01"}
    assert [set(group) for group in data.duplicates] == [{"lenet_5-small-01", "lenet_5-twin-01"}]


def test_the_split_that_is_asked_for_is_the_one_shown() -> None:
    run = study()[0]
    changed = tuple(
        replace(each, value=0.5) if each.conditions.get("split") == "test" else each for each in run.measurements
    )
    shown = [pareto_data([replace(run, measurements=changed)], split=split) for split in ("validation", "test")]
    assert shown[0].points[0].y > 0.9 and shown[1].points[0].y == 0.5
    assert "validation" in shown[0].y.label and "test" in shown[1].y.label


def test_an_estimate_is_hollow_and_never_on_the_front() -> None:
    guess = Point("guess", "lenet_5", "prune", "prune", "magnitude_prune", "onnx", 10.0, 0.999, estimated=True)
    data = pareto_data(study(), estimates=[guess])
    assert "guess" not in {point.run_id for point in data.front}
    symbols = {trace.name: trace.marker.symbol for trace in pareto_figure(data).data if trace.mode == "markers"}
    assert symbols["magnitude_prune (estimated)"].endswith("-open")
    assert not symbols["magnitude_prune"].endswith("-open")


def test_the_run_that_a_ratio_is_taken_to_stands_at_one() -> None:
    data = pareto_data(study(), x="latency_ratio_to_reference")
    places = {point.run_id: (point.x, point.x_interval) for point in data.points}
    assert places["lenet_5-base-01"] == (1.0, None)
    assert places["lenet_5-small-01"] == (0.6, (0.55, 0.65))


def test_a_measurement_that_no_run_has_is_named() -> None:
    with pytest.raises(InvalidInput, match="artifact_byte'.*did you mean 'artifact_bytes'"):
        pareto_data(study(), x="artifact_byte")


def test_every_point_hovers_to_its_run_and_every_axis_has_a_unit() -> None:
    figure = pareto_figure(pareto_data(study(), x="latency_ms_p50", limits={"latency_ms_p50": 0.04}))
    said = " ".join(text for trace in figure.data for text in trace.hovertext or ())
    for run_id in ("lenet_5-base-01", "lenet_5-small-01", "lenet_5-worse-01"):
        assert run_id in said
    assert "threads 1, batch 1, alone" in said and "n = 149" in said
    assert "(ms)" in figure.layout.xaxis.title.text and "(%)" in figure.layout.yaxis.title.text
    assert figure.layout.shapes, "the budget is drawn"
    assert "On the front: int8 dynamic" in figure.layout.meta["alt"]


def test_the_waterfall_adds_up_to_the_artifact() -> None:
    runs = study()
    data = waterfall_data(runs[1], runs)
    totals = [bar.size_bytes for bar in data.bars if bar.is_total]
    changes = [bar.size_bytes for bar in data.bars if not bar.is_total]
    assert totals == [250_000, 70_000]
    assert totals[0] + sum(changes) == pytest.approx(totals[1])
    assert "fewer bytes each" in data.bars[1].label and data.bars[1].size_bytes == -180_000


def test_the_waterfall_stops_at_every_stage_that_was_measured() -> None:
    runs = study()
    both = crafted_run(
        "lenet_5-both-01", steps=({"use": "train"}, CHANNELS, INT8), size=60_000, parent="lenet_5-base-01",
        num_params=50_000, nonzero_params=50_000, dense_bytes=50_000,
    )  # fmt: skip
    data = waterfall_data(both, [*runs, both])
    assert {bar.run_id for bar in data.bars} == {"lenet_5-base-01", "lenet_5-worse-01", "lenet_5-both-01"}
    changes = [bar.size_bytes for bar in data.bars if not bar.is_total]
    assert 250_000 + sum(changes) == pytest.approx(60_000)


def test_zeros_are_a_bar_of_no_bytes() -> None:
    runs = study()
    sparse = crafted_run(
        "lenet_5-zeros-01", steps=({"use": "train"}, CHANNELS), size=250_000, nonzero_params=30_000,
        parent="lenet_5-base-01",
    )  # fmt: skip
    bars = waterfall_data(sparse, [runs[0], sparse]).bars
    assert [(bar.label.split(": ")[-1], bar.size_bytes) for bar in bars[1:-1]] == [("zeros", 0.0)]


def test_a_run_without_sizes_has_no_waterfall_and_one_without_relatives_shows_its_own_make_up() -> None:
    runs = study()
    with pytest.raises(InvalidInput, match="no measured sizes"):
        waterfall_data(runs[3], runs)
    alone = waterfall_data(runs[0], [runs[0]])
    assert [bar.size_bytes for bar in alone.bars] == [240_000, 10_000, 250_000]
    assert "no earlier stage" in alone.note and "bytes" in waterfall_figure(alone).layout.yaxis.title.text


@pytest.fixture
def flipped(tmp_path: Path) -> tuple:
    targets = np.array([0, 1, 2, 3, 4, 5])
    before = np.array([0, 1, 2, 9, 4, 8])
    after = np.array([0, 7, 2, 3, 4, 9])
    parent = replace(study()[0], folder=with_predictions(tmp_path / "a", before, targets))
    return replace(study()[1], folder=with_predictions(tmp_path / "b", after, targets)), parent


def test_flips_are_counted_by_outcome_and_the_broken_come_first(flipped: tuple) -> None:
    data = flips_data(*flipped)
    assert [(flip.index, flip.outcome) for flip in data.flips] == [
        (1, "broken"), (3, "fixed"), (5, "wrong in another way"),
    ]  # fmt: skip
    assert data.matrix[1, 7] == 1 and data.matrix[9, 3] == 1 and data.matrix.sum() == 3
    broken = data.flips[0]
    assert (broken.target, broken.before, broken.after) == ("1", "1", "7")
    assert broken.target_before > 0.8 > 0.1 > broken.target_after
    assert "1 broken" in flips_figure(data).layout.meta["alt"]


def test_flips_show_pictures_where_the_input_is_one(flipped: tuple) -> None:
    images = np.random.default_rng(0).random((6, 1, 8, 8), dtype=np.float32)
    data = flips_data(*flipped, images=images)
    assert all(flip.image.startswith("data:image/png;base64,") for flip in data.flips)
    assert len(flip_examples_figure(data).data) == 3
    assert not flips_data(*flipped, images=np.zeros((6, 12), np.float32)).flips[0].image
    with pytest.raises(InvalidInput, match="picture"):
        flip_examples_figure(flips_data(*flipped))


def test_flips_of_other_examples_are_refused(flipped: tuple, tmp_path: Path) -> None:
    run, parent = flipped
    other = with_predictions(tmp_path / "c", np.array([0, 1, 2, 3, 4, 6]), np.array([0, 1, 2, 3, 4, 6]))
    with pytest.raises(InvalidInput, match="same test examples"):
        flips_data(run, replace(parent, folder=other))


def test_a_thumbnail_holds_its_pixels() -> None:
    pixels = np.array([[[0.0, 1.0], [0.5, 0.25]]], np.float32)
    data = base64.b64decode(_thumbnail.png_uri(pixels).partition(",")[2])
    start = data.index(b"IDAT") + 4
    rows = zlib.decompress(data[start : data.index(b"IEND") - 8])
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and list(rows) == [0, 0, 255, 0, 128, 64]


def test_latency_curves_keep_every_run_that_has_samples_and_name_the_others(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    np.savez(tmp_path / "samples" / "latency.npz", single_ms=np.array([[3.0, 1.0], [2.0, 4.0]]))
    first, second, *_ = study()
    data = ecdf_data([replace(first, folder=str(tmp_path)), second])
    assert data.missing == (second.run_id,)
    assert list(data.curves[0].ms) == [1, 2, 3, 4] and list(data.curves[0].share) == [0.25, 0.5, 0.75, 1.0]
    assert "median 2 ms" in ecdf_figure(data).layout.meta["alt"]


def test_a_method_always_looks_the_same_and_methods_differ() -> None:
    steps = ("magnitude_prune", "gradient_prune", "channel_prune", "distill", "int8_dynamic", "int8_static", "bfloat16")
    looks = [_style.marker(name) for name in steps]
    assert len({look.colour for look in looks}) == len({look.shape for look in looks}) == len(steps)
    for first in ("channel_prune", "distill", "magnitude_prune", "gradient_prune"):
        family = [_style.marker(name) for name in (first, *(f"{first} + {last}" for last in steps[-3:]))]
        assert len({look.colour for look in family}) == 1 and len({look.shape for look in family}) == 4


def test_chart_data_needs_no_plotly() -> None:
    names = sorted(path.stem for path in Path(_style.__file__).parent.glob("*.py") if path.stem != "__init__")
    code = f"import sys; from workbench.charts import {', '.join(names)}; print('plotly' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
