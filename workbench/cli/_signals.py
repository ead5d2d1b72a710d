"""Being told to end: `timeout`, a closed terminal and a service manager mean what Ctrl-C means."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

NAMES = ("SIGTERM", "SIGHUP")  # Windows has no hang-up


@contextlib.contextmanager
def ending_like_ctrl_c() -> Iterator[None]:
    """Raise KeyboardInterrupt for TERM and HUP inside, once; what ignores one of them already (nohup) goes on doing so."""
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    ours = [each for each in numbers if signal.getsignal(each) == signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        ours = []

    def end(*_: Any) -> NoReturn:
        for number in ours:
            signal.signal(
                number, signal.SIG_IGN
            )  # while workers are being ended, a second one must not leave them behind
        raise KeyboardInterrupt

    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
