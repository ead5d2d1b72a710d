"""The place of a panel's chart: one chart per kind of figure, of which one is seen, or words where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets.chart_host import Chart

if TYPE_CHECKING:
    import plotly.graph_objects as go


class Stage:
    """Charts are made when they are needed first; each keeps its own zoom while another one is seen."""

    def __init__(self, on_click: Callable[[Any], None], on_select: Callable[[Any], None]) -> None:
        self._on_click, self._on_select = on_click, on_select
        self.charts: dict[str, Chart] = {}
        self.words = ipywidgets.HTML()
        self.view = ipywidgets.VBox([self.words], layout={"overflow": "visible"})
        self.view.add_class("wb-stage")

    def show(self, kind: str, figure: go.Figure | str) -> None:
        """Show a figure in the chart of its kind, or the reason why there is none."""
        if isinstance(figure, str):
            self.words.value = _words.waiting(figure)
            self._bring_up(self.words)
            return
        if kind not in self.charts:
            self.charts[kind] = chart = Chart()
            chart.layout.flex = "0 0 auto"  # its own height, not a share of the column's
            chart.on_click(self._on_click)
            chart.on_select(self._on_select)
        self.charts[kind].show(figure)
        self._bring_up(self.charts[kind])

    def _bring_up(self, widget: ipywidgets.Widget) -> None:
        if self.view.children != (widget,):
            self.view.children = (widget,)
