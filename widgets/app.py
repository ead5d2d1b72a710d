"""The workbench: every panel around one session. This is what notebooks import.

    open_workbench("runs")                       # in JupyterLab or Voila: the panels; executed without a browser: static charts
    open_workbench("runs", model="vit", steps=[…])

Nothing is computed in the kernel: jobs go to the queue, which is a process of its own, and panels read what lies on disk.
"""

from __future__ import annotations

import gc
import importlib
import weakref
from pathlib import Path
from typing import Any

import ipywidgets
import pandas  # noqa: F401 - before there are threads: two that import it at once find it half made

from widgets import _closing, _kept_session, _states, static_view
from widgets.build_recipe import BuildRecipe
from widgets.chart_host import loader
from widgets.headless import is_headless
from widgets.pick_model import PickModel
from widgets.pump import Pump
from widgets.runs_table import RunsTable
from widgets.session import JOB, Session
from widgets.style import style
from widgets.top_bar import TopBar
from widgets.watch_runs import WatchRuns
from workbench import queue
from workbench.errors import WorkbenchError

SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_BETWEEN_CARES = 10.0  # a keeper that was killed is replaced within this
SECONDS_BEFORE_COLLECTING = (
    5.0  # closed panels are rings of some 10,000 objects, and Python's full collections are rare
)
_open: list[Workbench] = []  # the ones whose pump runs: opening one on the same store ends the older


# Title → module and class of the panel, imported when its tab is opened first. A later room adds a line here.
TABS = {
    "Trade-off": "trade_off:TradeOff",
    "Sensitivity": "sensitivity:Sensitivity",
    "Compare": "compare_runs:CompareRuns",
    "Examples": "examples:Examples",
    "Latency": "latency:Latency",
    "Distribute": "distribute:Distribute",
    "Plan": "plan_model:PlanModel",
    "Shrink": "shrink_checkpoint:ShrinkCheckpoint",
    "Serve": "serve_model:ServeModel",
    "Batch": "start_batch:StartBatch",
    "Copy as": "take_away:TakeAway",
    "Storage": "storage:Storage",
}


class Workbench:
    """All panels of one session; `view` is the widget, `static()` what is shown where nobody can touch it."""

    def __init__(self, session: Session) -> None:
        self.session, self.pump = session, Pump()
        self.bar = TopBar(session, self.pump)
        self.pump.on_error = self.bar.tell_error
        self.left = [PickModel(session, self.pump), BuildRecipe(session, self.pump), WatchRuns(session, self.pump)]
        self.table = RunsTable(session, self.pump)
        self.tabs = ipywidgets.Tab([ipywidgets.VBox() for _ in TABS], titles=list(TABS))
        self.panels: dict[str, Any] = {}
        self.tabs.observe(lambda change: self.pump.do(self._show_tab, change["new"]), names="selected_index")
        self.view = self._laid_out()

    def static(self) -> list[Any]:
        """Return figures and tables of what the session holds, without any widget."""
        panels = [self._panel(title) for title in TABS]
        return [each for panel in (*panels, self.table) if hasattr(panel, "static") for each in panel.static()]

    def go_live(self) -> Workbench:
        """Attach to what runs on this store and follow it; the older workbench on the same store is closed."""
        for other in [each for each in _open if each.session.store.root == self.session.store.root]:
            other.close()
            self.pump.rested(SECONDS_BEFORE_COLLECTING, gc.collect, key=gc)
        _open.append(self)
        _states.tell_them_at_one_moment()
        self.pump.every(SECONDS_BETWEEN_LOOKS, self.session.refresh)
        self.pump.do(_kept_session.keep_from_now_on, self.session, self.pump)
        self.pump.every(SECONDS_BETWEEN_CARES, lambda: queue.attach(self.session.store))
        self.session.observe(self._somebody_works, names=list(JOB))
        self._somebody_works()
        self.pump.start()
        return self

    def close(self) -> None:
        """Stop following and free every widget; runs and queue go on."""
        self.pump.stop()
        self.session.unobserve_all()
        for panel in self.panels.values():
            if hasattr(panel, "close"):
                panel.close()
        _closing.close_all(self, spare=loader())
        if self in _open:
            _open.remove(self)

    def _somebody_works(self, _change: Any = None) -> None:
        """Have a worker warm for the next click; one that nobody needs leaves after some minutes."""
        self.pump.do(queue.warm, self.session.store, key="warm")

    def _laid_out(self) -> ipywidgets.Widget:
        model, *recipe = (panel.view for panel in self.left)
        folded = ipywidgets.Accordion([model], titles=["Model and data"], selected_index=None)
        left = ipywidgets.VBox([folded, *recipe])
        left.add_class("wb-left")
        main = ipywidgets.VBox([self.tabs])
        main.add_class("wb-main")
        body = ipywidgets.Box([left, main])
        body.add_class("wb-body")
        view = ipywidgets.VBox([style(), loader(), self.bar.view, body, self.table.view])
        view.add_class("wb-workbench")
        self._show_tab(0)
        return view

    def _panel(self, title: str) -> Any:
        if title not in self.panels:
            module, _, name = TABS[title].partition(":")
            self.panels[title] = getattr(importlib.import_module(f"widgets.{module}"), name)(self.session, self.pump)
        return self.panels[title]

    def _show_tab(self, index: int | None) -> None:
        """Make the panel of a tab when it is opened first, and tell the panels which one is seen."""
        if index is None:
            return
        title = list(TABS)[index]
        panel = self._panel(title)
        if not self.tabs.children[index].children:
            self.tabs.children[index].children = (panel.view,)
        for name, other in self.panels.items():
            told = getattr(other, "on_shown" if name == title else "on_hidden", None)
            if told:
                told()


def open_workbench(store_folder: str | Path = "runs", *, resume: bool = True, **picked: Any) -> Any:
    """Show the workbench on a store: panels where somebody can touch them, static charts elsewhere.

    `picked` are parts of a job (model, data, steps, format, metrics, seed). With `resume`, what was picked in the panels
    before a restart is taken up again, as long as the cell asks for the same. Returns None headless, else the Workbench.
    """
    session = (
        _kept_session.restored(store_folder, picked)
        if resume and not is_headless()
        else Session(store_folder, **picked)
    )
    session.refresh()
    session.pick_something()
    return show(Workbench(session))


def show(workbench: Workbench) -> Any:
    """Display a workbench as the place allows."""
    from IPython.display import display

    if is_headless():
        static_view.renderer()
        for each in workbench.static():
            display(each)
        return None
    display(workbench.view)
    return _Quietly(workbench.go_live())


class _Quietly:
    """The workbench as a cell's value: it is displayed already, so it says nothing more.

    IPython keeps the value of every cell for ever, so this one doesn't hold the workbench: it is found as long as it is open.
    """

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = weakref.ref(workbench)

    @property
    def workbench(self) -> Workbench:
        """The open workbench; raises WorkbenchError once the cell was run again or the store was opened elsewhere."""
        found = self._workbench()
        if found is None or found not in _open:
            raise WorkbenchError("this workbench was closed", next_move="use what the cell that ran last returned")
        return found

    @property
    def session(self) -> Session:
        """The session of the open workbench."""
        return self.workbench.session

    def __repr__(self) -> str:
        return ""

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {}
