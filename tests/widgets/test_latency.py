"""Latencies with their conditions in words, and the machine's ceilings measured outside the kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import orjson
import pytest

from tests.charts.crafted_runs import crafted_run
from widgets.latency import Latency
from widgets.pump import Pump
from widgets.session import Session
from workbench import ceilings
from workbench.errors import RunFailed
from workbench.nouns import Run
from workbench.store import Store

CEILINGS = {"machine": {"cpu": "Example CPU"}, "float32_gflops": 30.0, "int8_gflops": 60.0, "read_gb_per_s": 8.0}


def finished(store: Store, run_id: str, **how: object) -> Run:
    """Write a crafted run with its single calls into a store."""
    folder = store.root / run_id
    run = crafted_run(run_id, folder=str(folder), **how)  # type: ignore[arg-type]
    (folder / "samples").mkdir(parents=True)
    single = np.random.default_rng(0).gamma(20, 0.0025, (3, 200))
    np.savez(folder / "samples" / "latency.npz", single_ms=single)
    (folder / "run.json").write_bytes(orjson.dumps(run.to_json()))
    return run


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A parent and a faster child, both timed, and one that was not timed."""
    store = Store(tmp_path / "runs")
    finished(store, "base-01")
    finished(
        store, "fast-01", steps=({"use": "train"}, {"use": "int8_static"}), parent="base-01", ratio=(0.7, 0.6, 0.8)
    )
    finished(
        store, "even-01", steps=({"use": "train"}, {"use": "int8_dynamic"}), parent="base-01", ratio=(1.0, 0.9, 1.1)
    )
    finished(store, "none-01", p50=None)
    session = Session(store.root, model="lenet_5", data="digits")
    session.data = {"use": "digits"}  # as crafted records name it
    session.refresh()
    return session


def shown(session: Session, monkeypatch: pytest.MonkeyPatch, known: dict | None = CEILINGS) -> Latency:
    monkeypatch.setattr(ceilings, "known", lambda: known)
    panel = Latency(session, Pump())
    panel.on_shown()
    panel.pump.drain()
    return panel


def test_the_newest_timed_runs_are_shown_with_conditions_and_verdicts(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = shown(session, monkeypatch)
    html = panel.table.value
    assert "threads 1, batch 1" in html and "100 samples" in html and "alone" in html and "warm-up" in html
    assert "▲ faster" in html and "× 0.700 [0.600, 0.800]" in html and "cannot be told apart" in html
    assert "none-01" not in html and "newest 3 runs" in panel.which.value


def test_brushed_runs_come_before_the_compared_pair(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = shown(session, monkeypatch)
    session.b = "fast-01"
    panel.pump.drain()
    assert "compared runs" in panel.which.value and "even-01" not in panel.table.value
    session.selected = ("even-01", "none-01")
    panel.pump.drain()
    assert "2 brushed runs" in panel.which.value and "even-01" in panel.table.value
    assert "Latency not measured" in panel.table.value


def test_the_roofline_is_drawn_from_the_cards(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = shown(session, monkeypatch)
    data = panel._roofline(panel._picked()[0])
    assert {spot.run_id for spot in data.spots} == {"base-01", "fast-01", "even-01"}
    assert panel.roofline.figure and panel.measure.layout.display == "none"


def test_without_ceilings_a_button_measures_them(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = shown(session, monkeypatch, known=None)
    assert panel.measure.layout.display is None and panel.roofline.figure == ""
    assert "not measured yet" in panel.told.value
    monkeypatch.setattr(ceilings, "obtain_elsewhere", lambda: CEILINGS)
    panel.measure.click()
    panel.pump.drain()
    assert panel.roofline.figure and panel.measure.layout.display == "none"


def test_ceilings_that_could_not_be_measured_are_told(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise RunFailed("no <torch> here")

    panel = shown(session, monkeypatch, known=None)
    monkeypatch.setattr(ceilings, "obtain_elsewhere", fails)
    panel.measure.click()
    panel.pump.drain()
    assert "no &lt;torch&gt; here" in panel.told.value and 'role="alert"' in panel.told.value
    assert not panel.measure.disabled and panel.measure.layout.display is None


def test_a_store_without_latencies_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = shown(Session(tmp_path / "empty"), monkeypatch)
    assert "Add the metric latency" in panel.which.value
    assert panel.ecdf.layout.display == "none" and panel.table.value == ""
    assert len(panel.static()) == 1


def test_the_same_runs_are_not_drawn_again(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = shown(session, monkeypatch)
    sent: list[object] = []
    for widget in (panel.ecdf, panel.table, panel.which, panel.roofline, panel.told):
        widget.observe(sent.append)
    session.b = "fast-01"
    session.b = ""
    panel.pump.drain()
    assert sent == []


def test_the_static_form_holds_table_curves_and_roofline(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "known", lambda: CEILINGS)
    told, ecdf, roofline = Latency(session, Pump()).static()
    assert "threads 1" in told.data and len(ecdf.data) == 3 and len(roofline.data) >= 2


@pytest.mark.slow
def test_measuring_the_ceilings_keeps_torch_out_of_the_caller(tmp_path: Path) -> None:
    code = (
        "import sys; from workbench import ceilings; ceilings.obtain_elsewhere(); assert ceilings.known();"
        "print('torch' in sys.modules)"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert ended.stdout.strip() == "False"
