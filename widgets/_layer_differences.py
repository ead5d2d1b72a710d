"""What became of each layer between two runs, worst first; the weights of the layer that was clicked, before and after."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._aside import aside
from widgets._layer_facts import LayerFacts, facts_at_hand, read_facts
from widgets.chart_host import Chart
from workbench.charts.layers import layers_figure
from workbench.charts.weights import weights_data, weights_figure
from workbench.errors import WorkbenchError
from workbench.nouns import Run

if TYPE_CHECKING:
    from widgets.pump import Pump

READING = "Reading weights… both files are opened by a process of its own."
CLICK = "The layer that was kept worst comes first. A click on a layer, or the list below, shows its weights."


class LayerDifferences:
    """Facts that are kept come at once; else the two files are read aside, once per pair."""

    def __init__(self, pump: Pump) -> None:
        self.pump = pump
        self.facts: LayerFacts | None = None  # of the pair that is shown; None while it is read, or can't be
        self.told, self.chart, self.weights = ipywidgets.HTML(), Chart(), Chart()
        self.layer = ipywidgets.Dropdown(
            description="Layer", tooltip="Whose weights are shown", layout={"width": "auto"}
        )
        self.layer.observe(lambda _: pump.do(self._draw_weights, key=self), names="value")
        self.chart.on_click(lambda name: pump.do(self._pick, name))
        self._pair: tuple[str, str] = ("", "")
        self.below = ipywidgets.VBox([ipywidgets.Box([self.layer]).add_class("wb-flow"), self.weights])
        self.view = ipywidgets.VBox([ipywidgets.HTML(_words.head("Layer by layer")), self.told, self.chart, self.below])

    def show(self, a: Run, b: Run) -> None:
        """Show the layers of a pair, as soon as their facts are known."""
        pair = self._pair = (a.run_id, b.run_id)
        self.facts = None
        for part in (self.chart, self.below):
            _words.show(part, False)
        try:
            known = facts_at_hand(a, b)
        except WorkbenchError as error:
            self._fail(pair, str(error))
            return
        if known:
            self._draw(pair, known)
            return
        _words.say(self.told, _words.waiting(READING))
        aside(self.pump, lambda: read_facts(a, b), lambda facts: self._draw(pair, facts),
              lambda words: self._fail(pair, words))  # fmt: skip

    def static(self) -> list[Any]:
        """Return the chart of layers and the weights of the worst; empty when nothing is known of them."""
        if self.facts is None:
            return []
        worst = self.facts.with_weights[:1]
        return [layers_figure(self.facts.data), *([self._weights_of(worst)] if worst else [])]

    def _fail(self, pair: tuple[str, str], words: str) -> None:
        if pair == self._pair:
            _words.say(self.told, _words.problem(f"The layers can't be compared: {words}"))

    def _draw(self, pair: tuple[str, str], facts: LayerFacts) -> None:
        if pair != self._pair:  # somebody has picked another pair meanwhile
            return
        self.facts = facts
        notes = "".join(f"<li><b>{html.escape(layer)}</b>: {html.escape(note)}</li>" for layer, note in facts.notes)
        folded = f"<details><summary>{len(facts.notes)} notes</summary><ul>{notes}</ul></details>" if notes else ""
        _words.say(self.told, _words.note(CLICK) + folded)
        _words.show(self.chart, True)
        self.chart.show(layers_figure(facts.data))
        _words.show(self.below, bool(facts.with_weights))
        if list(self.layer.options) != facts.with_weights:
            self.layer.options = facts.with_weights
        self.layer.value = next(iter(facts.with_weights), None)  # the worst; a list that was empty picks none itself
        self._draw_weights()

    def _pick(self, name: Any) -> None:
        if name in self.layer.options:
            self.layer.value = name

    def _draw_weights(self) -> None:
        if self.facts and self.layer.value in self.facts.with_weights:
            self.weights.show(self._weights_of([self.layer.value]))

    def _weights_of(self, layers: list[str]) -> Any:
        assert self.facts is not None
        return weights_figure(weights_data(self.facts.records, layers))
