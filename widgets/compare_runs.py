"""Two runs side by side: every difference with its verdict, where the bytes went, which layers moved, how they trained."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._differences import differences_html, headline
from widgets._layer_differences import LayerDifferences
from widgets._pick_pair import PickPair, label, pair_problem
from widgets._tab_panel import TabPanel
from widgets._together import MeasureTogether
from widgets.chart_host import Chart
from workbench import together
from workbench.charts.comparison import comparison_data, comparison_figure
from workbench.charts.training import training_data, training_figure
from workbench.charts.waterfall import waterfall_data, waterfall_figure
from workbench.compare import Comparison, compare_runs
from workbench.errors import WorkbenchError
from workbench.nouns import Run

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from widgets.pump import Pump
    from widgets.session import Session

WATCHED = ["a", "b", "runs", "scope", "model", "data"]
TITLES = ("Every difference", "Where the bytes of B went", "How they trained")


class CompareRuns(TabPanel):
    """Shows `session.compared()`; nothing is drawn while its tab is hidden."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self.pair = PickPair(session, pump)
        self.told, self.table = ipywidgets.HTML(), ipywidgets.HTML()
        self.together = MeasureTogether(session, pump, lambda *_: self._again())
        self.charts = {title: Chart() for title in TITLES}
        self.heads = {title: ipywidgets.HTML(_words.head(title)) for title in TITLES}
        self.missing = {title: ipywidgets.HTML() for title in TITLES}
        self.layers = LayerDifferences(pump)
        self._key: Any = None
        self.body = self._laid_out()
        self.view = ipywidgets.VBox([self.pair.view, self.told, self.body]).add_class("wb-compare-runs")
        _words.show(self.body, False)
        session.observe(lambda _: pump.do(self.update, key=self), names=WATCHED)

    def update(self) -> None:
        """Show the compared pair; a pair that is shown already is not compared again."""
        if not self.is_shown:
            return
        self.pair.update()
        pair = self.session.compared()
        key = (pair[0].run_id, pair[1].run_id) if pair else pair_problem(self.session)
        if key == self._key:
            return
        self._key = key
        _words.show(self.body, pair is not None)
        if pair is None:
            _words.say(self.told, _words.note(str(key)))
            return
        self._show(*pair)
        self.layers.show(*pair)

    def static(self) -> list[Any]:
        """Return the table and every chart of the pair, for a notebook that nobody touches."""
        from IPython.display import HTML

        self.on_shown()
        self.pump.drain()
        pair = self.session.compared()
        head = HTML(_words.head("Comparison") + self.told.value)
        if pair is None:
            return [head]
        drawn = [figure for figure, _ in self._figures(*pair).values() if figure is not None]
        return [head, HTML(self.table.value), *drawn, *self.layers.static()]

    def _again(self) -> None:
        """Compare anew: the two have been timed together now, or that failed."""
        self._key = None
        self.update()

    def _show(self, a: Run, b: Run) -> None:
        try:
            compared = compared_with_kept(a, b, self.session)
        except WorkbenchError as error:
            _words.say(self.told, _words.problem(str(error)))
            _words.show(self.body, False)
            return
        names = _words.note(f"A is {label(a)} ({a.run_id}), B is {label(b)} ({b.run_id}).")
        _words.say(self.told, f'<p class="wb-headline">{headline(compared)}</p>{names}')
        _words.say(self.table, differences_html(compared, a, b))
        self.together.update(a, b, known=compared.latency.ratio is not None)
        for title, (figure, why) in self._figures(a, b, compared).items():
            _words.show(self.charts[title], figure is not None)
            _words.say(self.missing[title], _words.note(why))
            if figure is not None:
                self.charts[title].show(figure)

    def _figures(self, a: Run, b: Run, compared: Comparison | None = None) -> dict[str, tuple[go.Figure | None, str]]:
        """Return each chart, or why there is none."""
        compared = compared or compared_with_kept(a, b, self.session)
        runs = self.session.of_this_model()
        makers = (
            lambda: comparison_figure(comparison_data(compared)),
            lambda: waterfall_figure(waterfall_data(b, runs)),
            lambda: training_figure(training_data([a, b], others=runs)),
        )
        return {title: _made(maker) for title, maker in zip(TITLES, makers)}

    def _laid_out(self) -> ipywidgets.VBox:
        parts = [part for title in TITLES for part in (self.heads[title], self.missing[title], self.charts[title])]
        first, last = parts[:6], parts[6:]
        return ipywidgets.VBox([self.table, self.together.view, *first, self.layers.view, *last])


def compared_with_kept(a: Run, b: Run, session: Session) -> Comparison:
    """Compare two runs, with the times that were taken of both together afterwards where there are any."""
    kept = together.kept(a, b, session.store)
    if kept is None:
        return compare_runs(a, b)
    compared = compare_runs(a, b, together=(kept.a_ms, kept.b_ms))
    alone = kept.conditions.get("measured_alone")
    return replace(compared, latency=replace(compared.latency, measured_alone=alone))


def _made(maker: Any) -> tuple[go.Figure | None, str]:
    try:
        return maker(), ""
    except WorkbenchError as error:
        return None, str(error)
