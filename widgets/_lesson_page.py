"""Puts a lesson's pieces on the page: with controls where somebody can touch them, as HTML and text where nobody can."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

import ipywidgets
from IPython.display import display

from widgets.headless import is_headless
from widgets.style import lesson_style


def show(text: str, controls: Sequence[ipywidgets.Widget] = ()) -> None:
    """Show HTML, and below it the controls where there is somebody to use them."""
    if not controls or is_headless():
        display({"text/html": f'<div class="wb-lesson">{text}</div>', "text/plain": plain(text)}, raw=True)
        return
    box = ipywidgets.VBox([*([ipywidgets.HTML(text)] if text else []), *controls])
    box.add_class("wb-lesson")
    display(box)


def show_style() -> None:
    """Put the style sheet on the page; once, at the top of a lesson."""
    display({"text/html": f"<style>{lesson_style()}</style>", "text/plain": ""}, raw=True)


def plain(text: str) -> str:
    """Return HTML as text, a line per block and cells side by side."""
    lines = re.sub(r"</(p|tr|h4|dd|li|caption|pre)>", "\n", text)
    cells = re.sub(r"</(td|th|dt|b)>", " ", lines)
    told = html.unescape(re.sub(r"<[^>]+>", "", cells))
    return "\n".join(filter(None, (" ".join(line.split()) for line in told.splitlines())))
