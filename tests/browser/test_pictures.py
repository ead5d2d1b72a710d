"""An executed copy holds a picture beside each live chart, drawn by the system's Chromium."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from ensure_browser import find_browser

CODE = """
import plotly.graph_objects, plotly.io
from widgets.static_view import renderer
print(renderer())
figure = plotly.graph_objects.Figure(plotly.graph_objects.Scatter(y=[1, 2]))
print(sorted(plotly.io.renderers._build_mime_bundle(figure.to_dict())))
"""


@pytest.mark.slow
def test_a_chart_has_a_picture_and_nothing_warns() -> None:
    environment = os.environ | {
        "WORKBENCH_VIEW": "static",
        "BROWSER_PATH": find_browser() or pytest.skip("no Chromium"),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", CODE], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "Charts are live, each with a picture for previews",
        "['application/vnd.plotly.v1+json', 'image/png']",
    ]
