"""Frees every widget that an object of ours can reach, shown or not: ipywidgets keeps all that nobody closed, for ever."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import ipywidgets


def close_all(root: Any, *, spare: ipywidgets.Widget | None = None) -> None:
    """Close the widgets reachable from `root` through objects of this package, with layouts and styles; not `spare`."""
    for widget in list(reachable(root, spare=spare)):
        widget.close()


def reachable(root: Any, *, spare: ipywidgets.Widget | None = None) -> Iterator[ipywidgets.Widget]:
    """Yield what `close_all` would close."""
    seen = {id(spare)}
    waiting = [root]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, ipywidgets.Widget):
            yield each
            waiting += [getattr(each, name, None) for name in ("children", "layout", "style")]
        elif isinstance(each, Mapping):
            waiting += each.values()
        elif isinstance(each, list | tuple | set):
            waiting += each
        elif type(each).__module__.partition(".")[0] == "widgets":
            waiting += vars(each).values()
