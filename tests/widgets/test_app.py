"""The app puts the panels together: lazily, once for a store, static where nobody can touch it, without torch."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import ipywidgets
import pytest

from tests.conftest import small_job
from widgets import _states, app
from widgets._closing import close_all, reachable
from widgets._states import tell_them_at_one_moment
from widgets.app import TABS, Workbench
from widgets.chart_host import loader
from widgets.headless import VARIABLE, is_headless
from widgets.pump import CHANGES, Pump
from widgets.session import Session
from workbench.bench import carry_out
from workbench.errors import WorkbenchError
from workbench.store import Store

NAMED = re.compile("IPY_MODEL_([0-9a-f]+)")
STEPS = [{"use": "train", "epochs": 1}, {"use": "magnitude_prune", "sparsity": 0.5}]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("app") / "runs")
    carry_out(small_job(steps=STEPS, metrics=[{"use": "size"}, {"use": "quality"}]), made)
    return made


@pytest.fixture
def workbench(store: Store) -> Workbench:
    session = Session(store.root, model="lenet_300_100")
    session.refresh()
    session.pick_something()
    return Workbench(session)


def test_a_panel_is_made_when_its_tab_is_opened_first(workbench: Workbench) -> None:
    assert set(workbench.panels) == {"Trade-off"}
    for index, title in enumerate(TABS):
        workbench.tabs.selected_index = index
        workbench.pump.drain()
        assert title in workbench.panels and workbench.tabs.children[index].children
    made = dict(workbench.panels)
    workbench.tabs.selected_index = 0
    workbench.pump.drain()
    assert workbench.panels == made


def test_something_is_picked_for_comparing_at_first(workbench: Workbench) -> None:
    assert workbench.session.compared() is not None


def test_what_is_static_holds_no_widget(workbench: Workbench) -> None:
    shown = workbench.static()
    assert len(shown) > 5
    assert not [each for each in shown if isinstance(each, ipywidgets.Widget)]


def test_opening_a_second_workbench_on_a_store_closes_the_first(store: Store) -> None:
    first, second = (Workbench(Session(store.root)) for _ in range(2))
    first.go_live()
    second.go_live()
    try:
        assert app._open == [second]
        freed = (first.view, first.view.layout, first.bar.facts, first.tabs, first.table.view)
        assert [each.comm for each in freed] == [None] * 5, "or every run of the cell would keep a hundred widgets"
        assert second.view.comm is not None
    finally:
        second.close()
    assert app._open == []


def test_an_error_on_the_pump_is_told_in_the_top_bar(workbench: Workbench) -> None:
    workbench.pump.do(lambda: 1 / 0)
    workbench.pump.drain()
    assert "a fault of the workbench: ZeroDivisionError" in workbench.bar.message.value
    assert workbench.bar.alert.layout.display == "flex"
    workbench.bar.away.click()
    workbench.pump.drain()
    assert workbench.bar.message.value == "" and workbench.bar.alert.layout.display == "none"


def test_the_top_bar_follows_the_budgets(workbench: Workbench) -> None:
    workbench.session.budgets = {**workbench.session.budgets, "max_drop": 1.0, "max_bytes": 24_300}
    workbench.pump.drain()
    assert "drop ≤ 1 points" in workbench.bar.facts.value and "24.3 kB" in workbench.bar.facts.value


def test_executed_without_a_browser_it_is_static_but_voila_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert is_headless(), "no kernel, nobody to touch anything"
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.13")
    assert not is_headless()
    monkeypatch.setenv(VARIABLE, "static")
    assert is_headless()
    monkeypatch.setenv(VARIABLE, "live")
    assert not is_headless()


def test_an_open_workbench_leaves_torch_alone_and_stays_small(store: Store) -> None:
    code = f"""
import sys, psutil
from widgets._closing import close_all, reachable
from widgets._states import tell_them_at_one_moment
from widgets.app import TABS, Workbench
from widgets.chart_host import loader
from widgets.session import Session
session = Session({str(store.root)!r}, model="lenet_300_100"); session.refresh(); session.pick_something()
workbench = Workbench(session)
for index in range(len(TABS)):
    workbench._show_tab(index); workbench.pump.drain()
heavy = [name for name in ("torch", "transformers", "onnx", "onnxruntime") if name in sys.modules]
print(heavy, psutil.Process().memory_info().rss < 350e6)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.stdout.strip().splitlines()[-1:] == ["[] True"], ended.stderr[-2000:]


def test_running_the_cell_again_keeps_nothing_of_the_workbench_before(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IPython holds the value of every cell, ipywidgets every widget that nobody closed: both let go."""
    import gc
    import weakref

    from ipywidgets.widgets import widget

    monkeypatch.setenv(VARIABLE, "live")
    monkeypatch.setattr("IPython.display.display", lambda *_: None)
    opened, num_widgets, sessions, shared = [], [], [], loader()
    for _ in range(3):
        opened.append(app.open_workbench(store.root, model="lenet_300_100"))
        workbench = opened[-1].workbench
        every_tab_was_seen = threading.Event()
        for index in range(len(TABS)):
            workbench.pump.do(workbench._show_tab, index)
        workbench.pump.do(every_tab_was_seen.set)
        assert every_tab_was_seen.wait(60)
        sessions.append(weakref.ref(workbench.session))
        num_widgets.append(len(widget._instances))
        del workbench
    time.sleep(1)  # a closed pump ends after what it is doing
    gc.collect()
    try:
        assert [session() is not None for session in sessions] == [False, False, True]
        assert num_widgets[2] - num_widgets[1] < 20, "the panels of one workbench are some hundred widgets"
        with pytest.raises(WorkbenchError, match="was closed"):
            _ = opened[0].session
        assert opened[2].session is sessions[2]()
        assert loader() is shared and shared.layout.comm is not None, "the workbenches share it"
        assert all(each.comm is not None for each in reachable(opened[2].workbench, spare=shared))
    finally:
        opened[2].workbench.close()


def test_a_reloaded_page_is_told_of_every_widget_at_one_moment(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's main thread answers the page, the pump's thread makes and closes widgets at the same time."""
    monkeypatch.setenv(VARIABLE, "live")
    monkeypatch.setattr("IPython.display.display", lambda *_: None)
    told: list[Any] = []
    page = SimpleNamespace(send=lambda data, buffers: told.append(data))
    monkeypatch.setattr(ipywidgets.Widget, "_control_comm", page)
    monkeypatch.setattr(_states, "SECONDS_OF_MAKING", 0.0)
    opened = app.open_workbench(store.root, model="lenet_300_100")
    pump, box = opened.workbench.pump, ipywidgets.VBox()

    def come_and_go() -> None:
        before, box.children = box.children, tuple(ipywidgets.HTML("x") for _ in range(20))
        close_all(before)
        pump.do(come_and_go)

    try:
        known = {each.model_id for each in reachable(opened.workbench, spare=loader())}
        pump.do(come_and_go)
        for _ in range(10):
            ipywidgets.Widget._handle_control_comm_msg({"content": {"data": {"method": "request_states"}}})
            states, met, ahead = told.pop()["states"], set(), set(known)
            while ahead:
                assert ahead <= states.keys()
                met |= ahead
                ahead = {name for each in ahead for name in NAMED.findall(json.dumps(states[each]))} - met
    finally:
        opened.workbench.close()


def test_a_widget_that_names_a_closed_one_keeps_no_page_from_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    page = SimpleNamespace(send=lambda data, buffers: told.append(data))
    monkeypatch.setattr(ipywidgets.Widget, "_control_comm", page)
    tell_them_at_one_moment()
    child = ipywidgets.HTML("closed too early")
    parent, other = ipywidgets.VBox([child]), ipywidgets.HTML("x")
    child.close()
    try:
        ipywidgets.Widget._handle_control_comm_msg({"content": {"data": {"method": "request_states"}}})
        assert other.model_id in told[0]["states"] and parent.model_id not in told[0]["states"]
    finally:
        close_all([parent, other])


def test_nothing_is_closed_while_a_page_makes_what_it_was_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    page = SimpleNamespace(send=lambda data, buffers: told.append(time.monotonic()))
    monkeypatch.setattr(ipywidgets.Widget, "_control_comm", page)
    monkeypatch.setattr(_states, "SECONDS_OF_MAKING", 0.5)
    tell_them_at_one_moment()
    pump, done = Pump().start(), threading.Event()
    try:
        with CHANGES:  # the handler waits already when the page asks
            pump.do(done.set)
            time.sleep(0.1)
            ipywidgets.Widget._handle_control_comm_msg({"content": {"data": {"method": "request_states"}}})
        assert told and not done.wait(0.2) and done.wait(10)
    finally:
        pump.stop()
