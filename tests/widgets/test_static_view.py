"""Executed copies get pictures only where nobody looks and a browser can draw them; otherwise it is said why not."""

from __future__ import annotations

import plotly.io
import pytest

from widgets import static_view


@pytest.fixture(autouse=True)
def own_renderers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plotly.io.renderers, "_default_name", plotly.io.renderers.default)
    monkeypatch.setattr(plotly.io.renderers, "_default_renderers", [])


def test_somebody_who_looks_gets_live_charts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_VIEW", "live")
    assert "without pictures" in static_view.renderer()
    assert plotly.io.renderers.default == "plotly_mimetype"


def test_without_a_browser_the_next_move_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_VIEW", "static")
    monkeypatch.setattr(static_view, "_browser", lambda: None)
    assert "workbench doctor" in static_view.renderer()
    assert plotly.io.renderers.default == "plotly_mimetype"


def test_no_chart_has_the_button_that_uploads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_VIEW", "live")
    static_view.renderer()
    assert plotly.io.renderers["plotly_mimetype"].config["showSendToCloud"] is False
