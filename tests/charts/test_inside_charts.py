"""Charts that look inside one model: sensitivity of layers, bytes and weights of layers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from crafted_runs import crafted_run

from workbench.charts.layers import layers_data, layers_figure, layers_table
from workbench.charts.sensitivity import sensitivity_data, sensitivity_figure
from workbench.charts.weights import weights_data, weights_figure
from workbench.errors import InvalidInput
from workbench.nouns import Layer, Measurement, Run


def drop(
    layer: str, level: Any, value: float, *, step: str = "magnitude_prune", parameter: str = "sparsity"
) -> Measurement:
    where = {"layer": layer, "step": step, "parameter": parameter, "level": level, "split": "validation"}
    return Measurement("sensitivity_drop", "points", "lower", value, value - 1, value + 1, n=149, conditions=where)


def sensitive(*measurements: Measurement) -> Run:
    return replace(crafted_run("base-01"), measurements=measurements)


def test_levels_ascend_within_a_step_and_layers_keep_the_order_of_the_model() -> None:
    run = sensitive(
        drop("out", 0.9, 4.0), drop("conv", 0.9, 1.5), drop("conv", 0.5, -0.2),
        drop("conv", None, 0.1, step="int8_dynamic", parameter=""),
    )  # fmt: skip
    data = sensitivity_data(run, layers=("conv", "norm", "out"))
    assert data.layers == ("conv", "out")
    assert [column.label for column in data.columns] == [
        "magnitude prune: sparsity 0.5", "magnitude prune: sparsity 0.9", "int8 dynamic",
    ]  # fmt: skip
    assert [(cell.layer, cell.drop) for cell in data.worst[:2]] == [("out", 4.0), ("conv", 1.5)]


def test_a_click_on_a_cell_gives_layer_and_level_and_what_is_over_budget_is_framed() -> None:
    run = sensitive(drop("conv", 0.5, 0.0), drop("conv", 0.9, 1.5), drop("out", 0.9, 4.0))
    figure = sensitivity_figure(sensitivity_data(run, budget=1.0))
    heat = json.loads(figure.to_json())["data"][0]
    assert heat["customdata"][0][1] == {
        "layer": "conv",
        "level": 0.9,
        "step": "magnitude_prune",
        "parameter": "sparsity",
    }
    assert heat["customdata"][1][0] is None and heat["hovertext"][1][0] == "not measured"
    assert heat["zmin"] == -heat["zmax"], "the colours are symmetric about nothing lost"
    assert [(round(frame.x0 + 0.48), round(frame.y0 + 0.47)) for frame in figure.layout.shapes] == [(1, 0), (1, 1)]
    assert "[0.5, 2.5] points, n = 149" in heat["hovertext"][0][1] and heat["text"][0][0] == "0.0"
    assert "2 of 3 above the budget of 1 points" in figure.layout.meta["alt"]


def test_only_validation_is_read_and_a_run_without_sensitivity_says_so() -> None:
    seen = drop("conv", 0.5, 3.0)
    on_test = replace(seen, conditions={**seen.conditions, "split": "test"}, value=9.0)
    assert [cell.drop for cell in sensitivity_data(sensitive(on_test, seen)).cells] == [3.0]
    with pytest.raises(InvalidInput, match="measured no sensitivity drop"):
        sensitivity_data(sensitive(on_test))


def record(layer: str, size: int, sqnr: float | None, *, zeros: int = 0) -> dict[str, Any]:
    return {
        "layer": layer, "kind": "linear", "shape": [10, 10], "num_params": 100, "bytes": size, "nonzero": 100 - zeros,
        "sqnr_db": sqnr, "cosine": None, "ms": None, "hist_edges": [-1.0, 0.0, 1.0], "hist_before": [50, 50],
        "hist_after": [20, 80],
    }  # fmt: skip


def test_the_worst_kept_layer_comes_first_and_uncompared_ones_last() -> None:
    data = layers_data([record("a", 100, 40.0), record("b", 300, None), record("c", 600, 8.0, zeros=80)])
    assert [row.layer for row in data.rows] == ["c", "a", "b"]
    assert data.rows[0].share == pytest.approx(0.6) and data.rows[0].density == pytest.approx(0.2)
    with pytest.raises(InvalidInput, match="no layer was recorded"):
        layers_data([])


def test_operations_and_precision_come_from_the_card_and_unknowns_are_dashes() -> None:
    card = (Layer("c", "linear", (10, 10), 100, 4_000, precision="int8"),)
    known, unknown = layers_table(layers_data([record("a", 100, None), record("c", 600, 8.0)], layers=card))
    assert (known["MACs per example"], known["precision"], known["SQNR against the parent (dB)"]) == (
        "4,000",
        "int8",
        "8.0",
    )
    assert (unknown["MACs per example"], unknown["precision"], unknown["time (ms)"]) == ("–", "–", "–")


def test_bars_stand_beside_those_of_the_parent() -> None:
    after, before = [record("a", 100, 40.0), record("c", 600, 8.0)], [record("a", 400, None), record("c", 2400, None)]
    figure = layers_figure(layers_data(after, parent=before))
    assert [(trace.name, list(trace.x)) for trace in figure.data] == [("before", [2400, 400]), ("after", [600, 100])]
    assert list(figure.data[1].text) == ["8.0 dB", "40.0 dB"] and list(figure.data[1].customdata) == ["c", "a"]
    assert "2.8 kB before, 700 bytes after" in figure.layout.meta["alt"]
    assert [trace.name for trace in layers_figure(layers_data(after)).data] == ["after"]


def test_histograms_are_shares_of_the_weights_of_one_layer() -> None:
    records = [record("a", 100, 40.0, zeros=30), record("c", 600, 8.0)]
    data = weights_data(records, ["a"])
    assert [each.layer for each in data.histograms] == ["a"] and data.histograms[0].zeros == pytest.approx(0.3)
    assert list(data.histograms[0].before) == [0.5, 0.5] and list(data.histograms[0].after) == [0.2, 0.8]
    figure = weights_figure(data)
    assert [trace.name for trace in figure.data] == ["before (parent)", "after"]
    assert list(figure.data[1].y) == [20, 20, 80, 80] and list(figure.data[1].x) == [-1, 0, 0, 1]
    assert "log" in figure.layout.yaxis.title.text, "a spike would flatten the rest"
    with pytest.raises(InvalidInput, match="no weights of layer 'cc'.*did you mean 'c'"):
        weights_data(records, ["cc"])


def test_layers_without_a_parent_show_what_they_are_and_several_get_panels() -> None:
    records = [{**record(name, 100, None), "hist_before": None} for name in "abc"]
    figure = weights_figure(weights_data(records))
    assert [trace.name for trace in figure.data] == ["after"] * 3 and figure.layout.xaxis3.title.text == "weight"
    assert np.isnan(weights_figure(weights_data([{**records[0], "hist_after": [0, 100]}])).data[0].y[0])
