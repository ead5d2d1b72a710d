"""How figures look where nobody can touch them: executed copies hold each chart live, and a picture of it if that is possible.

The picture is what a preview shows (a code host, a file viewer); it needs the `png` extra and a Chromium.
"""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from widgets._dark import figures_style
from widgets.headless import is_headless
from workbench.doctor import BROWSERS
from workbench.errors import MissingExtra

if TYPE_CHECKING:
    import plotly.graph_objects as go

NO_CLOUD = {"displaylogo": False, "showSendToCloud": False}  # plotly's button that uploads a chart stays away
LIVE, WITH_PICTURES = "plotly_mimetype", "plotly_mimetype+png"


def renderer() -> str:
    """Choose how plotly shows figures in this notebook from now on, and return a sentence that says so."""
    import plotly.io

    plotly.io.renderers[LIVE].config = NO_CLOUD
    if not is_headless():
        _follow_the_theme()
    why_not = _why_no_pictures()
    if why_not:
        plotly.io.renderers.default = LIVE
        return f"Charts are live, without pictures for previews: {why_not}"
    plotly.io.renderers["png"] = _when_there_is_a_figure()
    plotly.io.renderers.default = WITH_PICTURES
    return "Charts are live, each with a picture for previews"


def _follow_the_theme() -> None:
    """Put the rules on the page by which figures keep to JupyterLab's theme."""
    from IPython.display import display

    display({"text/html": f"<style>{figures_style()}</style>", "text/plain": ""}, raw=True)


def picture(figure: go.Figure, path: Path) -> None:
    """Write a figure as PNG; raises MissingExtra, with what to do, where none can be drawn."""
    if why_not := why_not_drawn():
        raise MissingExtra(f"no picture of a chart can be drawn: {why_not}")
    _start_drawing()
    figure.write_image(path, width=900, scale=2)


def _why_no_pictures() -> str:
    """Return a reason, empty where pictures are wanted and possible."""
    return "somebody is looking" if not is_headless() else why_not_drawn()


def why_not_drawn() -> str:
    """Return why no picture can be drawn here; empty means it can."""
    if find_spec("kaleido") is None:
        return "kaleido isn't installed: pip install 'workbench[png]'"
    return "" if _browser() else "no Chromium was found: `workbench doctor` says what to do"


def _browser() -> str | None:
    """Return the Chromium that draws; None where there is none, or nobody wants pictures (`WORKBENCH_BROWSER=none`)."""
    chosen = os.environ.get("BROWSER_PATH") or os.environ.get("WORKBENCH_BROWSER")
    if chosen == "none":
        return None
    return chosen or next((path for name in BROWSERS if (path := shutil.which(name))), None)


def _when_there_is_a_figure() -> Any:
    """Return plotly's renderer of pictures, which starts its browser with the first figure: many notebooks have none."""
    from plotly.io._base_renderers import PngRenderer

    class Patient(PngRenderer):
        def to_mimebundle(self, fig_dict: dict[str, Any]) -> Any:
            _start_drawing()
            return super().to_mimebundle(fig_dict)

    return Patient()


def _start_drawing() -> None:
    """Start one browser for all pictures; left to itself kaleido starts one for each, and asks a CDN for MathJax."""
    import kaleido
    import plotly.io

    os.environ["BROWSER_PATH"] = str(_browser())
    kaleido.start_sync_server(n=1, mathjax=False, silence_warnings=True)
    plotly.io.defaults.headers = {}  # for map tiles; a running server warns about them with each picture
