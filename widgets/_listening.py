"""A widget with a browser half of its own that hears the kernel however busy the page was when it came (listening.js)."""

from __future__ import annotations

import uuid
from typing import Any

import anywidget
import traitlets


class Listening(anywidget.AnyWidget):
    """Its `_esm` contains `listening.js` and calls `listenAlways(model, traits)` when it is initialized."""

    own_id = traitlets.Unicode().tag(sync=True)  # by which the browser half finds its model

    def __init__(self, **traits: Any) -> None:
        own_id = uuid.uuid4().hex
        super().__init__(model_id=own_id, own_id=own_id, **traits)
        self.on_msg(self._send_what_was_lost)

    def _send_what_was_lost(self, _: Any, content: dict[str, Any], __: Any) -> None:
        if content.get("kind") == "listening":
            lost = [name for name, size in content["has"].items() if size != _size(getattr(self, name))]
            if lost:
                self.send_state(lost)


def _size(value: Any) -> Any:
    return len(value) if hasattr(value, "__len__") else value
