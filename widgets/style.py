"""One style sheet for all panels; its colours are JupyterLab's variables, so that it follows the theme."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import ipywidgets

SHEETS = ("workbench.css", "panels.css", "runs.css")


def style() -> ipywidgets.HTML:
    """Return a widget that holds the style sheet; show it once on a page."""
    return ipywidgets.HTML(f"<style>{_sheet()}</style>", layout={"display": "none"})


@cache
def _sheet() -> str:
    folder = Path(__file__).parent / "static"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in SHEETS)


def lesson_style() -> str:
    """Return the style sheet of lessons, with what their panels share with the others."""
    folder = Path(__file__).parent / "static"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in ("workbench.css", "lesson.css"))
