"""A button that does its work on the pump."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets

if TYPE_CHECKING:
    from widgets.pump import Pump


def button(text: str, icon: str, tooltip: str, action: Callable[[], Any], pump: Pump) -> ipywidgets.Button:
    made = ipywidgets.Button(description=text, icon=icon, tooltip=tooltip, layout={"width": "auto"})
    made.on_click(lambda _: pump.do(action))
    return made
