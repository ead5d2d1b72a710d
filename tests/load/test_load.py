"""A load test sees what a person would: every request that a stall delays, and the rate past which a server falls behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.test_commands import call, read
from tests.load.stand_in import StandIn
from workbench.charts.load import load_data, load_figure, summary
from workbench.errors import InvalidInput, WorkbenchError
from workbench.load import Settings, Target, measure_load
from workbench.load._open_loop import _percentile
from workbench.load._search import due_times

REQUEST = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [0, 1, 2]}]}
ASKED_BEFORE = 21  # one to see whether it answers, the others to warm it up


def measured(server: StandIn, **settings):  # noqa: ANN003, ANN201
    return measure_load(Target(server.url, "m", REQUEST), Settings(**settings))


def test_latency_is_the_servers_delay_and_every_request_is_sent() -> None:
    with StandIn(delay=0.03).running() as server:
        (step,) = measured(server, rates=(100,), seconds=1.5).steps
    assert step.keeps_up and step.num_due == server.count - ASKED_BEFORE == 150 and step.num_failed == 0
    assert 30 <= step.percentiles_ms["p50"] < 40 and step.answered_rate == pytest.approx(100, rel=0.25)
    assert step.percentiles_ms["p99.9"] is None, "150 samples tell nothing of one in a thousand"
    assert json.loads(server.bodies[0]) == REQUEST


def test_a_stall_is_seen_by_every_request_that_it_delays() -> None:
    """One worker stops for a second while 60 requests a second come: about 60 wait, on average half a second."""
    with StandIn(delay=0.002, workers=1, stall_at=ASKED_BEFORE + 60, stall=1.0).running() as server:
        (step,) = measured(server, rates=(60,), seconds=4, connections=1, arrivals="even").steps
    slow = (step.latencies_ms > 100).sum()
    assert 50 < slow < 75, "a request is due whether the server answers or not"
    assert (step.service_ms > 100).sum() == 1, "which is all that a closed loop would have seen"
    assert step.percentiles_ms["p95"] > 500 and np.percentile(step.service_ms, 95) < 20
    assert step.own_delay_p99_ms < 50


def test_the_saturation_point_is_found() -> None:
    """One worker of 10 ms: at most 100 a second. A stall of the machine looks like the server's: the best of three counts."""
    for _ in range(3):
        with StandIn(delay=0.01, workers=1).running() as server:
            tested = measured(server, seconds=1)
        if tested.saturation >= 60:
            break
    assert 60 <= tested.saturation <= 110 and 80 <= tested.first_too_much <= 160
    over = next(step for step in tested.steps if step.rate >= 150)
    assert not over.keeps_up and 70 < over.answered_rate < 101
    assert over.percentiles_ms["p99"] > 5 * tested.steps[0].percentiles_ms["p95"]


def test_what_fails_is_counted_and_slower_than_any_answer() -> None:
    with StandIn(delay=0.001, refuse_every=5).running() as server:
        (step,) = measured(server, rates=(100,), seconds=1).steps
        assert 15 <= step.num_failed <= 25 and list(step.failures) == ["503 {}"]
        assert step.percentiles_ms["p50"] < 20 and step.percentiles_ms["p95"] is None and not step.keeps_up
        server.delay = 30
        (late,) = measured_again(server).steps
    assert late.num_failed == late.num_due and late.failures == {"TimeoutError": late.num_due}
    assert late.percentiles_ms["p50"] is None and late.max_ms is None


def measured_again(server: StandIn):  # noqa: ANN201
    """Measure one rate with a short timeout; the first requests are answered at once."""
    server.delay, slow = 0.0, server.delay
    first = server.count + ASKED_BEFORE

    class Slows(list):
        def append(self, when: float) -> None:
            server.delay = slow if server.count > first else 0.0

    server.arrived, server.refuse_every = Slows(), 0
    return measured(server, rates=(20,), seconds=0.5, timeout=0.2)


def test_due_times_are_the_seeds_alone_and_percentiles_are_measured_values() -> None:
    first, second = (due_times(200, 10, arrivals="poisson", seed=3) for _ in range(2))
    gaps = np.diff(first)
    assert np.array_equal(first, second) and first.size == 2000 and first[-1] == pytest.approx(10)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.1), "independent arrivals"
    assert np.ptp(np.diff(due_times(200, 1, arrivals="even", seed=0))) < 1e-9
    values = np.arange(1.0, 1001.0)
    assert [_percentile(values, share) for share in (50, 99, 99.9)] == [500, 990, 999]
    assert _percentile(np.arange(1, 152), 50) == 76, "75 of 151 are less than half"


def test_the_command_keeps_figures_and_chart_and_makes_up_a_request(tmp_path: Path) -> None:
    with StandIn(delay=0.001).running() as server:
        asked = (server.url, "--model", "m", "--rates", "50,100", "--seconds", "0.5")
        record = read("load", *asked, "--to", tmp_path / "load.json", "--chart", tmp_path / "load.html")
        assert "kept up with every rate" in call("load", *asked).stdout
    assert json.loads((tmp_path / "load.json").read_text()) == record and record["saturation"] == 100
    assert json.loads(server.bodies[0])["inputs"] == [
        {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [0, 0, 0]}
    ]
    assert "Plotly.newPlot" in (tmp_path / "load.html").read_text()
    figure = load_figure(load_data(record))
    assert "per second" in figure.layout.xaxis.title.text and "ms" in figure.layout.yaxis.title.text
    assert [curve.name for curve in load_data(record).curves] == ["p50", "p95"]
    assert (
        load_data(record).missing == "p99 at 2 of 2 rates, p99.9 at 2 of 2 rates: too few requests, or too many failed"
    )


def test_the_chart_says_where_it_falls_behind() -> None:
    step = {"rate": 10.0, "percentiles_ms": {"p50": 1.0}, "num_failed": 0, "num_due": 50, "keeps_up": True}
    worse = {**step, "rate": 20.0, "percentiles_ms": {"p50": 90.0}, "keeps_up": False}
    data = load_data({"steps": [step, worse], "saturation": 10.0, "first_too_much": 20.0})
    assert summary(data) == "The server kept up with 10 requests/s and fell behind at 20."
    assert load_figure(data).layout.shapes[0].x0 == 20.0


def test_what_can_not_be_asked_is_said() -> None:
    with pytest.raises(WorkbenchError, match="gives no answer for model m"):
        measure_load(Target("http://127.0.0.1:9", "m", REQUEST), Settings(rates=(1,)))
    for url, request in (
        ("127.0.0.1:80", REQUEST),
        ("http://a", {}),
        ("http://a", {"inputs": [{**REQUEST["inputs"][0], "datatype": "BYTES"}]}),
    ):
        with pytest.raises(InvalidInput):
            Target(url, "m", request)
    with pytest.raises(InvalidInput, match="rate -1.*connections"):
        Settings(rates=(-1,), connections=5000)
