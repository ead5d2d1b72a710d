"""The trade-off panel: what was measured, what the picked recipe is expected to cost, what fits the budgets, what to take."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._aside import aside
from widgets._axis_controls import LINES, POINTS, AxisControls
from widgets._budget_controls import BudgetControls
from widgets._estimates_checked import EstimatesChecked
from widgets._stage import Stage
from widgets._trade_off_chart import Picture, picked_estimate, picked_point
from widgets._trade_off_facts import baseline_of, baseline_text, expected_text, left_out_text, measured_as, quantities
from widgets._verdict import Verdict
from workbench.charts import _style
from workbench.charts.parallel import parallel_data, parallel_figure
from workbench.charts.pareto import Point, estimated_traces, pareto_figure
from workbench.charts.reliability import reliability_figure
from workbench.compare import Choice
from workbench.errors import InvalidInput
from workbench.nouns import Run

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from widgets.pump import Pump
    from widgets.session import Session

RUNS = ("runs", "scope", "model", "data", "split", "x", "y")  # what changes which points there are
RECIPE = ("steps", "format", "metrics", "seed", "card")  # what changes the estimate
MARKED = ("selected", "a", "b")
SECONDS_OF_REST = 0.4
ORDER = ("runs", "choice", "chart")  # bringing one up to date brings those after it, too
TEST_HINT = "Choosing reads validation. Look at test once, for what was chosen."


class TradeOff:
    """Follows the session, and draws only while it is seen."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self.shown = True
        self._stale: set[str] = set()
        self._choice: Choice | None = None
        self._choosing = self._choose_again = False
        self.picture, self.checked = Picture(session), EstimatesChecked()
        self.axes = AxisControls(session, pump, self._draw)
        self.budgets, self.verdict = BudgetControls(session, pump), Verdict(session, pump)
        self.stage = Stage(
            lambda value: pump.do(self._clicked, value),
            lambda values: pump.do(self._brushed, values, key=(self, "brush")),
        )
        self.baseline, self.expected, self.left_out = (ipywidgets.HTML() for _ in range(3))
        self.view = self._laid_out()
        for names, what in ((RUNS, "runs"), (("budgets",), "choice"), (MARKED, "chart")):
            session.observe(lambda _, what=what: pump.do(self.update, what, key=(self, what)), names=list(names))
        session.observe(lambda _: pump.do(self._recipe_changed, key=(self, "recipe")), names=list(RECIPE))
        pump.do(self.update, "runs", key=(self, "runs"))

    def on_shown(self) -> None:
        """Catch up with what changed while nobody looked."""
        self.shown = True
        missed = next((what for what in ORDER if what in self._stale), None)
        if missed:
            self.update(missed)

    def on_hidden(self) -> None:
        self.shown = False

    def static(self) -> list[Any]:
        """Return the chart of points, and the recommendation with every reason and the baseline's figures."""
        from IPython.display import HTML

        self._look_at_runs()
        try:
            self._take_choice(self.session.choice())
        except InvalidInput as error:
            self._take_choice(None, str(error))
        figure = self._figure()
        figure = _style.nothing(figure) if isinstance(figure, str) else figure
        words = "".join(each.value for each in (self.baseline, self.expected, self.left_out))
        return [figure, HTML(f"{words}{self.verdict.static()}")]

    def update(self, what: str) -> None:
        """Bring the panel up to date after `what` has changed (see ORDER); remembered while the panel is hidden."""
        if not self.shown:
            self._stale.add(what)
            return
        self._stale -= set(ORDER[ORDER.index(what) :])
        if what == "runs":
            self._look_at_runs()
        if what != "chart":
            self._choose()  # and draw again then
        if what != "choice":
            self._draw()

    def _recipe_changed(self) -> None:
        """Move the estimate at once, and draw all of it when the hand rests."""
        if self.shown and self._moved():
            self.pump.rested(SECONDS_OF_REST, self.update, "chart", key=(self, "rest"))
        else:
            self.update("chart")

    # ── what to take ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _choose(self) -> None:
        """Make the choice aside: with hundreds of runs it takes longer than a hand on a slider waits."""
        if self._choosing:
            self._choose_again = True
            return
        self._choosing = True
        aside(self.pump, self.session.choice, self._choose_ended, lambda words: self._choose_ended(None, words))

    def _choose_ended(self, choice: Choice | None, problem: str = "") -> None:
        self._choosing = False
        self._take_choice(choice, problem)
        if self._choose_again:
            self._choose_again = False
            self._choose()
        self.pump.do(self.update, "chart", key=(self, "chart"))

    def _take_choice(self, choice: Choice | None, problem: str = "") -> None:
        self._choice = choice
        self.verdict.show(choice, self.session.of_this_model(), problem=problem)

    # ── the chart ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _look_at_runs(self) -> None:
        runs = self.session.of_this_model()
        self.axes.update(quantities(runs))
        self.budgets.fit_ranges(runs)

    def _draw(self) -> None:
        self.stage.show(self.axes.kind.value, self._figure())

    def _figure(self) -> go.Figure | str:
        """Return the figure, or why there is none; and say under it what it is made of."""
        runs, kind = self.session.of_this_model(), self.axes.kind.value
        self.left_out.value = _words.note(TEST_HINT) if self.session.split == "test" else ""
        try:
            point = self._expected(runs)
            if not runs:
                return self._nothing_yet()
            if kind != POINTS:
                return self._other_figure(kind, runs)
            data = self.picture.data(runs, point)
        except InvalidInput as error:
            return f"Nothing to draw: {error}"
        self.left_out.value += left_out_text(data.missing, len(runs))
        return pareto_figure(data, marks=self.picture.marks(runs, self._choice))

    def _moved(self) -> bool:
        """Move the estimate in the chart that is seen; False where the whole figure has to be drawn."""
        chart = self.stage.charts.get(POINTS)
        if chart is None or not chart.figure or self.axes.kind.value != POINTS:
            return False
        runs = self.session.of_this_model()
        try:
            point = self._expected(runs)
            if point is None or point.became:
                return False
            data = self.picture.data(runs, point)
        except InvalidInput:
            return False
        chart.move(estimated_traces(data, self.picture.marks(runs, self._choice)))
        return True

    def _expected(self, runs: list[Run]) -> Point | None:
        """Say what is expected of the picked recipe and held against what; return its place on the chart, if it has one."""
        estimate, problem = picked_estimate(self.session)
        base = baseline_of(estimate.job if estimate else None, runs)
        became = measured_as(estimate.job, runs) if estimate else None
        self.baseline.value = _line("Baseline, as trained", baseline_text(base, self.session.split) if base else
                                    "not measured yet: run the recipe with nothing but training")  # fmt: skip
        self.expected.value = _line("Picked recipe", expected_text(estimate, became) if estimate else problem)
        return picked_point(self.session, estimate, base, became) if estimate else None

    def _other_figure(self, kind: str, runs: list[Run]) -> go.Figure | str:
        """Return the figure of the other kinds; estimates of past jobs are made aside first."""
        if kind == LINES:
            data = parallel_data(runs, split=self.session.split)
            self.left_out.value += left_out_text(data.missing, len(runs))
            return parallel_figure(data, selected={*self.session.selected, self.session.b})
        if unknown := self.checked.unknown(runs):
            aside(self.pump, lambda: self.checked.learn(unknown), lambda _: self._draw(), self._failed)
            return f"The estimates of {len(unknown)} jobs are being made …"
        data = self.checked.data(runs)
        return reliability_figure(data) if data.quantities else "No run has both an estimate and a measurement yet."

    def _failed(self, words: str) -> None:
        self.left_out.value = _words.problem(words)

    def _nothing_yet(self) -> str:
        others = len({run.run_id for run in self.session.runs if run.status == "done"})
        more = ' Or show the runs of "all models".' if others and self.session.scope == "this model" else ""
        return f"No finished run of this model on this data yet. Pick a recipe and press Run.{more}"

    def _clicked(self, value: Any) -> None:
        if isinstance(value, str) and self.session.run_of(value):
            self.session.b = value

    def _brushed(self, values: Sequence[Any]) -> None:
        found = tuple(value for value in values if isinstance(value, str) and self.session.run_of(value))
        if found != self.session.selected:
            self.session.selected = found

    def _laid_out(self) -> ipywidgets.Widget:
        budgets = ipywidgets.VBox([ipywidgets.HTML("<b>Budgets</b>"), self.budgets.view], layout={"flex": "1 1 420px"})
        verdict = ipywidgets.VBox([self.verdict.view], layout={"flex": "1 1 420px", "min_width": "300px"})
        below = ipywidgets.Box([budgets, verdict], layout={"flex_flow": "row wrap", "overflow": "visible"})
        view = ipywidgets.VBox([self.axes.view, self.stage.view, self.baseline, self.expected, self.left_out, below])
        view.add_class("wb-trade-off")
        return view


def _line(label: str, text: str) -> str:
    return f'<p class="wb-line"><b>{html.escape(label)}:</b> {html.escape(text)}</p>'
