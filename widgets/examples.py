"""Which answers changed between the compared runs: counts as a matrix, the examples themselves, broken first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._aside import aside
from widgets._changed_text import ChangedText
from widgets._flip_pages import FlipPages
from widgets._pick_pair import PickPair, pair_problem
from widgets._pictures import load_inputs
from widgets._tab_panel import TabPanel
from widgets.chart_host import Chart
from workbench import compare
from workbench.charts import _thumbnail
from workbench.charts.flips import flips_data, flips_figure
from workbench.charts.text_changes import text_changes_figure
from workbench.errors import WorkbenchError
from workbench.nouns import Run

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session

READ = "Rows of the matrix are answers of A, columns those of B; a click keeps to its examples."
LOADING = "Answers are shown; loading the examples themselves…"


class Examples(TabPanel):
    """The changed examples of `session.compared()`; nothing is drawn while its tab is hidden."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self.pair = PickPair(session, pump)
        self.split = ipywidgets.ToggleButtons(
            options=("test", "validation"), description="Answers on",
            tooltips=("Examples that choose nothing", "Examples that choosing reads"),
        )  # fmt: skip
        self.told, self.loading = ipywidgets.HTML(), ipywidgets.HTML()
        self.matrix, self.pages = Chart(), FlipPages(pump)
        self._loaded: tuple[Any, Any] | None = None  # (which data, inputs or why there are none)
        self._key: Any = None
        self._shows = ""  # flips, texts, or nothing
        self.texts = ChangedText(pump)
        self.shown = ipywidgets.Box([self.matrix, self.pages.view]).add_class("wb-examples-body")
        self.view = ipywidgets.VBox(
            [
                self.pair.view,
                ipywidgets.Box([self.split]).add_class("wb-flow"),
                self.told,
                self.loading,
                self.shown,
                self.texts.view,
            ]
        )
        self.view.add_class("wb-examples")
        self.split.observe(lambda _: pump.do(self.update, key=self), names="value")
        self.matrix.on_click(lambda cell: pump.do(self._click, cell))
        session.observe(lambda _: pump.do(self.update, key=self), names=["a", "b", "runs", "scope", "model", "data"])
        _words.show(self.shown, False)
        _words.show(self.texts.view, False)

    def static(self) -> list[Any]:
        """Return the chart and the first page of examples, for a notebook that nobody touches."""
        from IPython.display import HTML

        self.on_shown()
        self.pump.drain()
        head = HTML(_words.head("Changed answers") + self.told.value + self.loading.value)
        if self._shows == "flips":
            return [head, flips_figure(self.pages.data), HTML(self.pages.cards.value)]
        return [head, text_changes_figure(self.texts.data), HTML(self.texts.listed.value)] if self._shows else [head]

    def update(self) -> None:
        """Show the compared pair; a pair that is shown already is not compared again."""
        if not self.is_shown:
            return
        self.pair.update()
        pair, missing = self.session.compared(), pair_problem(self.session)
        key = (pair and (pair[0].run_id, pair[1].run_id), self.split.value, missing)
        if key == self._key:
            return
        self._key, self._shows = key, ""
        _words.say(self.loading, "")
        _words.say(self.told, self._compare(*pair) if pair else _words.note(missing))
        _words.show(self.shown, self._shows == "flips")
        _words.show(self.texts.view, self._shows == "texts")
        if pair and self._shows == "flips":
            self._fetch(pair[1])

    def _compare(self, a: Run, b: Run) -> str:
        """Find what changed and draw it; returns what to say of it."""
        try:
            if b.get("perplexity"):
                told, self._shows = self.texts.show(a, b, self.split.value), "texts"
                return told
            data = flips_data(b, a, split=self.split.value, labels=compare.labels_of(b) or compare.labels_of(a))
        except WorkbenchError as error:
            return _words.problem(str(error))
        self._shows = "flips"
        self.matrix.show(flips_figure(data))
        self.pages.show(data)
        counts = ", ".join(f"{count} {outcome}" for outcome, count in data.counts.items())
        return _words.note(
            f"{len(data.flips)} of {data.num_examples:,} {data.split} answers changed from A to B: {counts}. {READ}"
        )

    def _click(self, cell: Any) -> None:
        if isinstance(cell, dict) and self._shows == "flips":
            self.pages.pick_cell(str(cell.get("y")), str(cell.get("x")))

    def _fetch(self, b: Run) -> None:
        """Get the examples themselves: those of the last look when it is the same data."""
        split, key = self.split.value, self._key
        data = (b.data_sha256, split)
        if self._loaded and self._loaded[0] == data:
            self._illustrate(self._loaded[1])
            return
        _words.say(self.loading, _words.waiting(LOADING))

        def ended(inputs: Any) -> None:
            self._loaded = data, inputs
            if self._key == key:  # nobody has picked another pair meanwhile
                self._illustrate(inputs)

        aside(self.pump, lambda: load_inputs(b, split), ended, lambda words: ended(f"No examples to look at: {words}"))

    def _illustrate(self, inputs: Any) -> None:
        """Add the examples, or say why there are none."""
        if isinstance(inputs, str):
            _words.say(self.loading, _words.problem(inputs))
        elif _thumbnail.is_image(inputs):
            _words.say(self.loading, "")
            self.pages.illustrate(inputs)
        else:
            _words.say(self.loading, _words.note("These examples are no pictures; their answers are shown."))
