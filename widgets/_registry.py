"""ipywidgets' list of all widgets, made safe to read while the pump's thread makes and closes some.

A page that is reloaded asks for the state of every widget, and ipywidgets (8.1) answers from the kernel's main thread by
going through its dictionary: a widget that is born meanwhile ended that with "dictionary changed size during iteration",
and the page got nothing.
"""

from __future__ import annotations

from typing import Any

from ipywidgets.widgets import widget


class _Registry(dict[str, Any]):
    """Gives out what it holds as it is now."""

    def values(self) -> Any:
        return tuple(super().values())

    def items(self) -> Any:
        return tuple(super().items())


def allow_reading_while_it_changes() -> None:
    """Put the safe dictionary in the place of ipywidgets' own, once."""
    if not isinstance(widget._instances, _Registry):
        widget._instances = _Registry(widget._instances)
