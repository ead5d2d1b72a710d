"""Tables in markdown whose cells can hold any text."""

from __future__ import annotations

from collections.abc import Iterable


def line(cells: Iterable[str]) -> str:
    """Return one line of a table."""
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """Return text that ends no cell and no line."""
    return " ".join(text.replace("|", "\\|").split())
