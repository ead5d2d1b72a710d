"""A chart sends what changed, tells its handlers what was touched, and can be seen on a dark page; plotly.js comes once."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from typing import Any

import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs

from widgets._dark import DARK, ON_DARK
from widgets.chart_host import Chart, loader
from workbench.charts import _style

DARK_PAGE = "#111111"  # JupyterLab's dark theme
SEEN = 3.0  # WCAG 2.1, 1.4.11: contrast of graphics


def figure(*values: float, alt: str = "some points") -> go.Figure:
    return _style.finish(go.Figure(go.Scatter(y=list(values))), alt=alt)


def touched(chart: Chart, kind: str, *values: Any) -> None:
    """Let the chart hear what its browser half sends."""
    chart._handle_custom_msg({"kind": kind, "values": list(values)}, [])


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What charts send, by name of the traits of each message."""
    messages: list[Any] = []
    monkeypatch.setattr(Chart, "_send", lambda chart, message, buffers=None: messages.append(set(message["state"])))
    return messages


def test_showing_the_same_figure_again_sends_nothing(sent: list[Any]) -> None:
    chart = Chart()
    chart.show(figure(1, 2))
    sent.clear()
    chart.show(figure(1, 2))
    assert sent == []
    chart.show(figure(1, 3))
    assert sent == [{"figure"}]


def test_a_chart_is_said_in_the_words_of_its_figure_unless_it_has_its_own() -> None:
    without, own = Chart(), Chart(alt="mine")
    without.show(figure(1, alt="theirs"))
    own.show(figure(1, alt="theirs"))
    assert (without.alt, own.alt) == ("theirs", "mine")


def test_handlers_hear_each_clicked_point_and_all_selected_ones() -> None:
    chart, clicked, selected = Chart(), [], []
    chart.on_click(clicked.append)
    chart.on_select(selected.append)
    touched(chart, "click", "a-01", {"x": 1, "y": 2})
    touched(chart, "select", "a-01", "b-01")
    touched(chart, "select")
    assert clicked == ["a-01", {"x": 1, "y": 2}]
    assert selected == [["a-01", "b-01"], []]


def test_only_what_somebody_listens_to_is_sent_at_all() -> None:
    chart = Chart()
    assert chart.listens == []
    chart.on_hover(print)
    chart.on_hover(print)
    assert chart.listens == ["hover"]


def test_all_charts_share_one_loader_also_after_everything_was_closed() -> None:
    first, second = Chart(), Chart()
    assert first.loader is second.loader is loader()
    first.loader.close()
    assert Chart().loader is loader() is not first.loader


def test_the_loader_brings_the_plotly_of_this_installation() -> None:
    assert zlib.decompress(loader().source).decode() == get_plotlyjs()


def test_arrays_travel_as_typed_arrays() -> None:
    import numpy as np

    chart = Chart()
    chart.show(go.Figure(go.Scatter(y=np.arange(1000.0))))
    assert set(json.loads(chart.figure)["data"][0]["y"]) == {"dtype", "bdata"}


@pytest.mark.parametrize("colour", [*_style.COLOURS, _style.INK, _style.FAINT])
def test_every_colour_can_be_seen_on_a_dark_page(colour: str) -> None:
    assert contrast(ON_DARK.get(colour, colour), DARK_PAGE) >= SEEN


def test_text_can_be_read_on_a_dark_page() -> None:
    assert min(contrast(DARK["ink"], DARK_PAGE), contrast(DARK["ink"], DARK["surface"])) >= 7


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear))


def test_the_chart_host_is_light_to_import() -> None:
    heavy = ("torch", "plotly", "numpy", "pandas")
    code = f"import sys, widgets.chart_host, widgets.table_view; print([n for n in {heavy} if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
