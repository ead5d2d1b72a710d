"""What a person sees of a panel: its widgets that aren't hidden."""

from __future__ import annotations

from typing import Any

from widgets.form import Form


def shown(widget: Any) -> list[Any]:
    """Return a widget and all that is in it, apart from what is hidden."""
    if widget.layout.display == "none":
        return []
    return [widget, *(each for child in getattr(widget, "children", ()) for each in shown(child))]


def row(form: Form, name: str) -> Any:
    return next(each for each in form.view.children if f"wb-param-{name}" in each._dom_classes)


def find(form: Form, name: str, kind: type | tuple[type, ...]) -> Any:
    return next(each for each in shown(row(form, name)) if isinstance(each, kind))


def message(widget: Any) -> str:
    return "".join(each.value for each in shown(widget) if "wb-message" in each._dom_classes)
