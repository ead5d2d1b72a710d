"""Small pieces of HTML that panels share; every text is escaped here."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

import ipywidgets


def note(text: str) -> str:
    return f'<p class="wb-note">{html.escape(text)}</p>' if text else ""


def problem(text: str) -> str:
    return f'<div role="alert" class="wb-problem">{html.escape(text)}</div>' if text else ""


def waiting(text: str) -> str:
    return f'<p class="wb-note" role="status">{html.escape(text)}</p>'


def head(text: str) -> str:
    return f'<h4 class="wb-head">{html.escape(text)}</h4>'


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are HTML already, the first of each row is its head."""
    names = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in heads)
    lines = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in rows
    )
    return (
        f'<div class="wb-scroll"><table class="wb-table"><caption>{html.escape(caption)}</caption>'
        f"<thead><tr>{names}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def say(widget: ipywidgets.HTML, text: str) -> None:
    """Show HTML; sends nothing when it is there already."""
    if widget.value != text:
        widget.value = text


def show(widget: ipywidgets.Widget, seen: bool) -> None:
    """Let a widget be seen or not; sends nothing when it is so already."""
    display = None if seen else "none"
    if widget.layout.display != display:
        widget.layout.display = display
