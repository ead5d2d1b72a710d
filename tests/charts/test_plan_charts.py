"""Charts of plans and of shrunk checkpoints: what fits is lit, ceilings bend where they must, errors lie at their block."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from workbench.charts.device_roofline import device_roofline_data, device_roofline_figure
from workbench.charts.layouts import layouts_data, layouts_figure
from workbench.charts.planned_memory import planned_memory_data, planned_memory_figure
from workbench.charts.shrunk_layers import shrunk_layers_data, shrunk_layers_figure
from workbench.plan import architecture, intensity

GIGA = 1e9


def drawn(figure: Any) -> dict[str, Any]:
    return json.loads(figure.to_json())


def planned(**changes: Any) -> dict[str, Any]:
    layout = {"replicate": 1, "shard": 8, "tensor": 1, "pipeline": 1, "recompute": False}
    return {
        "layout": layout,
        "memory_bytes": 40 * GIGA,
        "tokens_per_second": 1000.0,
        "fits": True,
        "limit": "compute",
        **changes,
    }


def test_layouts_that_fit_are_apart_from_those_that_do_not_and_the_chosen_one_is_ringed() -> None:
    rows = [planned(), planned(memory_bytes=90 * GIGA, fits=False, tokens_per_second=2000.0)]
    figure = drawn(layouts_figure(layouts_data(rows, usable=70 * GIGA, chosen=1)))
    fits, not_, ring = figure["data"]
    assert (fits["x"], not_["x"], ring["x"], ring["customdata"]) == ([40], [90], [90], [1])
    assert figure["layout"]["shapes"][0]["x0"] == 70
    assert figure["layout"]["annotations"][0]["x"] == pytest.approx(math.log10(70)), (
        "annotations of log axes are logarithms"
    )
    assert "1 fit into 70 GB" in figure["layout"]["meta"]["alt"] and "shard 8: 1,000" in figure["layout"]["meta"]["alt"]
    assert "smallest needs 90" in drawn(layouts_figure(layouts_data(rows[1:], usable=GIGA)))["layout"]["meta"]["alt"]


def test_memory_is_stacked_beside_what_was_simulated() -> None:
    parts = {"parameters": 4 * GIGA, "activations": 6 * GIGA, "scores": 0.0}
    data = planned_memory_data(parts, usable=20 * GIGA, simulated={"parameters": 4 * GIGA, "temporary": 7 * GIGA})
    figure = drawn(planned_memory_figure(data))
    assert {trace["name"]: trace["x"] for trace in figure["data"]} == {
        "parameters": [4, 4], "activations": [6, 0], "temporary": [0, 7],
    }  # fmt: skip
    assert "planned 10 GB, simulated 11 GB (+10.0%)" in figure["layout"]["meta"]["alt"]
    assert len(drawn(planned_memory_figure(planned_memory_data(parts, usable=GIGA)))["data"][0]["y"]) == 1


def test_a_roofline_tells_what_memory_limits() -> None:
    """One sequence: each weight is read for one multiply-accumulate, 2 operations for 2 bytes."""
    works = intensity.works(architecture.known()["llama-3-8b"], precision="bfloat16", batch=1, prompt=1000)
    by = {(work.name, work.phase): work for work in works}
    assert by["feed-forward", "token"].intensity == 1.0 and by["feed-forward", "prompt"].intensity == 1000.0
    assert by["output layer", "prompt"].intensity == 1.0, "of a prompt only the last token is answered"
    whole = sum(work.flops for work in works if work.phase == "token")
    assert whole == pytest.approx(architecture.known()["llama-3-8b"].forward_flops(2 * 1000), rel=1e-3)
    data = device_roofline_data(works, title="a device", flops=1e15, bandwidth=2e12)
    assert data.ridge == 500
    point = next(point for point in data.points if (point.name, point.phase) == ("feed-forward", "token"))
    assert (point.reachable, point.share, point.limited_by) == (2.0, 0.002, "memory")
    figure = drawn(device_roofline_figure(data))
    assert len(figure["data"]) == 1 + len(works) and figure["data"][0]["y"][1:] == [1000, 1000]
    assert (
        "while writing a token, memory limits attention's matrices, feed-forward, output layer"
        in figure["layout"]["meta"]["alt"]
    )


def test_experts_are_read_once_however_many_tokens_chose_them() -> None:
    model = architecture.known()["mixtral-8x7b"]
    one, many = (
        next(work for work in intensity.works(model, precision="bfloat16", batch=batch, prompt=100) if (work.name, work.phase) == ("feed-forward", "token"))
        for batch in (1, 1000)
    )  # fmt: skip
    assert one.bytes_read == pytest.approx(2 * model.layers * 2 * model.expert_params)
    assert many.bytes_read == pytest.approx(2 * model.layers * 8 * model.expert_params)


def test_errors_of_a_shrunk_checkpoint_lie_at_their_blocks() -> None:
    layers = [
        {"name": f"model.layers.{block}.mlp.up_proj.weight", "relative_error": 0.01 * (block + 1)} for block in (10, 2)
    ]
    record = {
        "shards": {
            "a": {"layers": [*layers, {"name": "model.norm.weight"}, {"name": "model.layers.2", "output_error": 0.5}]}
        }
    }
    figure = drawn(shrunk_layers_figure(shrunk_layers_data(record)))
    (line,) = figure["data"]
    assert (line["name"], line["x"], line["y"]) == ("mlp.up_proj", [2, 10], pytest.approx([0.03, 0.11]))
    assert "block 10, mlp.up_proj moved most: 11.00%" in figure["layout"]["meta"]["alt"]
    assert "no matrix" in drawn(shrunk_layers_figure(shrunk_layers_data({"shards": {}})))["layout"]["meta"]["alt"]
