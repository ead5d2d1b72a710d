"""Slow work beside the panels whose end is always told: its value, what went wrong, or that it broke."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from widgets.pump import Pump

BROKE = "this failed for a reason that nobody foresaw; the message above the panels says which"


def aside(pump: Pump, work: Callable[[], Any], then: Callable[[Any], None], failed: Callable[[str], None]) -> None:
    """Run `work` (which touches no widget) aside, then call `then(value)` or `failed(words)` on the pump."""

    def told() -> tuple[bool, Any]:
        ended = False
        try:
            answer = True, work()
            ended = True
        except WorkbenchError as error:
            answer, ended = (False, str(error)), True
        finally:
            if not ended:  # the error itself goes to whoever the pump tells
                pump.do(failed, BROKE)
        return answer

    pump.later(told, lambda answer: then(answer[1]) if answer[0] else failed(answer[1]))
