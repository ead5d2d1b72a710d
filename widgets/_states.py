"""What a reloaded page is told: the state of every widget, at one moment and soon.

ipywidgets (8.1) answers on the kernel's main thread while the pump's thread makes and closes widgets. It reads everything
twice, ends with "dictionary changed size" when a widget is born meanwhile, and may name a child that it doesn't describe.
A page that gets no answer within four seconds asks each widget by itself, and waits for ever for one that was closed.
"""

from __future__ import annotations

from typing import Any

from ipywidgets.widgets import widget as library

from widgets.pump import CHANGES

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
        states = {
            each.model_id: {
                "model_name": each._model_name,
                "model_module": each._model_module,
                "model_module_version": each._model_module_version,
                "state": each.get_state(),
            }
            for each in tuple(library._instances.values())
            if each.comm is not None
        }
    states, paths, buffers = library._remove_buffers(states)
    comm.send({"method": "update_states", "states": states, "buffer_paths": paths}, buffers=buffers)
