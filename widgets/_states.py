"""What a reloaded page is told: the state of every widget, at one moment and soon.

ipywidgets (8.1) answers on the kernel's main thread while the pump's thread makes and closes widgets. It reads everything
twice, ends with "dictionary changed size" when a widget is born meanwhile or with an AttributeError when one names another
that was closed, and may name a child that it doesn't describe.
A page that gets no answer within four seconds asks each widget by itself, and waits for ever for one that was closed.
While it makes what it was told of, a widget that is closed takes everything that holds it along ("model not found"): pumps rest so long.
"""

from __future__ import annotations

import time
from typing import Any

from ipywidgets.widgets import widget as library

from widgets.pump import CHANGES, Pump

SECONDS_OF_MAKING = 3.0  # some 500 widgets on two cores

_answer_otherwise = library.Widget._handle_control_comm_msg


def tell_them_at_one_moment() -> None:
    """Answer pages in this way from now on."""
    library.Widget._handle_control_comm_msg = staticmethod(_answer)


def _answer(message: dict[str, Any]) -> None:
    comm = library.Widget._control_comm
    if comm is None or message["content"]["data"].get("method") != "request_states":
        _answer_otherwise(message)
        return
    with CHANGES:
        open_widgets = [each for each in tuple(library._instances.values()) if each.comm is not None]
        states = {each.model_id: described for each in open_widgets if (described := _described(each))}
        Pump.rests_until = time.monotonic() + SECONDS_OF_MAKING
    states, paths, buffers = library._remove_buffers(states)
    comm.send({"method": "update_states", "states": states, "buffer_paths": paths}, buffers=buffers)


def _described(widget: library.Widget) -> dict[str, Any] | None:
    """Return what a page needs to make the widget; None when it names one that was closed, so that no page can make it."""
    try:
        state = widget.get_state()
    except AttributeError:
        return None
    return {
        "model_name": widget._model_name,
        "model_module": widget._model_module,
        "model_module_version": widget._model_module_version,
        "state": state,
    }
